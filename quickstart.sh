#!/bin/bash
# Builds the manager, starts it, makes a sandbox and runs a program in it.
#
#	./quickstart.sh [--check] [--port N] [--dir DIR]
#	./quickstart.sh --stop [--dir DIR]
#
# The manager goes on in the background, as root (by sudo), with its data in DIR (.quickstart);
# --stop ends what runs in its sandboxes, keeps their files, and ends it. With --check it is stopped
# at once, and its sandboxes are deleted.
# A taken port is left to whoever has it: the manager then takes a free one.
set -euo pipefail
start=$SECONDS
caller=$PWD
cd "$(dirname "$0")"
. cmake/packages.sh

port=8080
dir=$PWD/.quickstart
action=start
programs=$PWD/build/release/bin

usage() {
	sed -n '2,/^set/s/^#[ 	]\{0,1\}//p' "$0"
	exit "$1"
}

while [ $# -gt 0 ]; do
	case $1 in
	--check) action=check ;;
	--stop) action=stop ;;
	--port) port=${2:?--port takes a number} && shift ;;
	--dir) dir=$(cd "$caller" && realpath -m "${2:?--dir takes a directory}") && shift ;;
	--help) usage 0 ;;
	*) echo "unknown argument $1" >&2 && usage 2 >&2 ;;
	esac
	shift
done

step() {
	printf '[%3d s] %s\n' $((SECONDS - start)) "$*" >&2
}

sudo=
[ "$(id -u)" -eq 0 ] || sudo=sudo

# logged NAME COMMAND...: what it prints is shown where it fails.
logged() {
	local log=$dir/$1.log
	shift
	"$@" >"$log" 2>&1 || { cat "$log" >&2 && return 1; }
}

build() {
	cmake --preset release && cmake --build --preset release --target sandbox-manager sandboxctl
}

make_venv() {
	[ -x "$dir/venv/bin/python" ] || python3 -m venv "$dir/venv"
	"$dir/venv/bin/pip" install --quiet --disable-pip-version-check mcp==2.3.0 httpx==0.28.1
}

# The manager's process id, where it runs. A number alone might be another process by now.
running() {
	local pid exe
	pid=$(cat "$dir/manager.pid" 2>/dev/null) || return 1
	exe=$($sudo readlink "/proc/$pid/exe" 2>/dev/null) || return 1
	[ "${exe% (deleted)}" = "$programs/sandbox-manager" ] && echo "$pid"
}

# Starts it on a port; false where it does not come up there. No sandboxes are kept ready, since
# these would be left when it ends.
start_on() {
	local line=
	rm -f "$dir/ready" && mkfifo -m 600 "$dir/ready"
	$sudo setsid --fork sh -c 'echo $$ >"$1/manager.pid"; cd "$1"
		exec "$2" --data-dir "$1/data" --port "$3" --pool 0 >"$1/ready" 2>>"$1/manager.log"' \
		sh "$dir" "$programs/sandbox-manager" "$1" </dev/null
	read -r -t 30 line <"$dir/ready" || return 1
	echo "${line#listening on }" >"$dir/url"
}

start_manager() {
	: >"$dir/manager.log"
	start_on "$port" || start_on 0 || { cat "$dir/manager.log" >&2 && exit 1; }
}

# stop_manager COMMAND...: first it does that to all sandboxes.
stop_manager() {
	local pid
	if ! pid=$(running); then
		step "No manager runs"
		return
	fi
	step "Ending its sandboxes ($*)"
	NO_PROXY='*' "$programs/sandboxctl" "$@" --all --url "$(cat "$dir/url")" >/dev/null
	step "Ending the manager"
	$sudo kill -TERM "$pid"
	while running >/dev/null; do sleep 0.1; done
	rm -f "$dir/manager.pid" "$dir/url" "$dir/ready"
}

# The README's example for a client, with the sandbox's address.
example() {
	sed -n "/<!-- example: $1 -->/,/^\`\`\`\$/p" README.md | sed -n '/^```./,/^```$/{//!p}' |
		sed "s|http://127.0.0.1:6060|$mcp_url|g; s/^/    /"
}

show() {
	cat <<EOT

The manager is at $(cat "$dir/url"), its log in ${dir#"$PWD"/}/manager.log.
A sandbox is ready; its tools are at

    mcp_url        $mcp_url
    mcp_token      $token

What follows expects the token in the environment:

    export SANDBOX_TOKEN=$token

Claude Code:

$(example claude-code)

Codex, in ~/.codex/config.toml:

$(example codex)

VS Code, in .vscode/mcp.json:

$(example vscode)

LangChain:

$(example langchain)

More sandboxes, from the command line or by HTTP:

    export SANDBOX_MANAGER_URL=$(cat "$dir/url")
    ${programs#"$PWD"/}/sandboxctl exec $id 'uname -a; id; ls -la'
    curl \$SANDBOX_MANAGER_URL/sandboxes/create -H 'Content-Type: application/json' -d '{"user_id": "me"}'

EOT
}

if [ "$action" = stop ]; then
	stop_manager pause --cold
	exit
fi
step "Looking for what is needed"
install_packages $build_packages $runtime_packages python3=python3 py:ensurepip=python3-venv
$sudo true
(umask 077 && mkdir -p "$dir")
step "Building (build/release), and fetching the Python client"
logged venv make_venv &
logged build build || exit 1
wait $! || exit 1
trap 'stop_manager pause --cold' ERR
trap 'stop_manager pause --cold; exit 130' INT
if running >/dev/null; then
	step "A manager runs at $(cat "$dir/url")"
else
	step "Starting the manager"
	start_manager
fi
step "Making a sandbox, and running a program in it"
read -r id mcp_url token < <(NO_PROXY='*' PYTHONPATH=clients/python \
	"$dir/venv/bin/python" clients/python/first_program.py "$(cat "$dir/url")") || false
step "Ready"
show
trap - ERR INT
if [ "$action" = check ]; then
	stop_manager rm
else
	echo "./quickstart.sh --stop ends the manager and all that runs; the sandboxes' files are kept."
fi
