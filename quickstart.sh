#!/bin/bash
# Builds the tool server, starts it on ./workspace and shows how to connect to it.
#
#	./quickstart.sh [--check] [--port N] [--workspace DIR]
#
# Stays until Ctrl-C. With --check, or without a terminal, it ends after its first call.
# A taken port is left to whoever has it: the server then takes a free one.
set -euo pipefail
cd "$(dirname "$0")"
. cmake/packages.sh

port=6060
workspace=$PWD/workspace
private=$PWD/.quickstart # the token and the server's state
check=

usage() {
	sed -n '2,/^set/s/^#[ 	]\{0,1\}//p' "$0"
	exit "$1"
}

while [ $# -gt 0 ]; do
	case $1 in
	--check) check=yes ;;
	--port) port=${2:?--port takes a number} && shift ;;
	--workspace) workspace=$(realpath -m "${2:?--workspace takes a directory}") && shift ;;
	--help) usage 0 ;;
	*) echo "unknown argument $1" >&2 && usage 2 >&2 ;;
	esac
	shift
done
[ -t 0 ] || [ -t 1 ] || check=yes

build() {
	local log=$private/build.log
	echo "Building (build/release) …"
	{ cmake --preset release && cmake --build --preset release --target sandbox-mcp; } \
		>"$log" 2>&1 || { cat "$log" && exit 1; } >&2
}

# The token stays the same from one start to the next, so that clients stay connected.
make_token() {
	[ -s "$private/token" ] ||
		(umask 077 && head -c 32 /dev/urandom | basenc --base64url | tr -d '=' >"$private/token")
	export SANDBOX_TOKEN
	SANDBOX_TOKEN=$(cat "$private/token")
}

# Starts the server on a port; false where it does not come up there.
start() {
	local line=
	coproc SERVER {
		exec build/release/bin/sandbox-mcp --workspace "$workspace" --port "$1" \
			--token-file "$private/token" --state-dir "$private/state" 2>"$private/log"
	}
	read -r -t 10 -u "${SERVER[0]}" line || { stop && return 1; }
	url=${line#listening on }
}

# Bash forgets SERVER_PID when the server has ended, so no other process is ever meant.
stop() {
	local pid=${SERVER_PID:-}
	[ -z "$pid" ] || kill -TERM "$pid" 2>/dev/null || true
	wait
}

# The README's example for a client, with this server's address.
example() {
	sed -n "/<!-- example: $1 -->/,/^\`\`\`\$/p" README.md | sed -n '/^```./,/^```$/{//!p}' |
		sed "s|http://127.0.0.1:6060|$url|g; s/^/    /"
}

call() {
	curl --silent --show-error --fail "$url/mcp" \
		-H "Authorization: Bearer $SANDBOX_TOKEN" -H 'Content-Type: application/json' \
		-H 'Accept: application/json, text/event-stream' -H 'MCP-Protocol-Version: 2026-07-28' \
		-H 'Mcp-Method: tools/call' -H 'Mcp-Name: run_command' -d '{
			"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {
				"name": "run_command",
				"arguments": {"command": "echo Hello from $(pwd)"},
				"_meta": {
					"io.modelcontextprotocol/protocolVersion": "2026-07-28",
					"io.modelcontextprotocol/clientCapabilities": {}}}}'
}

install_packages $build_packages curl=curl
mkdir -p "$workspace"
(umask 077 && mkdir -p "$private")
build
make_token
trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
start "$port" || start 0 || { cat "$private/log" && exit 1; } >&2
answer=$(call)

cat <<EOF

The server is ready: $url, working in $workspace

Its token is in ${private#"$PWD"/}/token; what follows expects it in the environment:

    export SANDBOX_TOKEN=\$(cat $private/token)

Claude Code:

$(example claude-code)

Codex, in ~/.codex/config.toml:

$(example codex)

VS Code, in .vscode/mcp.json:

$(example vscode)

LangChain:

$(example langchain)

A first call, run_command "echo Hello from \$(pwd)", answers:

    $answer

EOF
[[ $answer == *'"isError":true'* || $answer != *'"result"'* ]] && exit 1
[ -z "$check" ] || exit 0
echo "Ctrl-C ends the server; its log is in ${private#"$PWD"/}/log."
wait "$SERVER_PID"
