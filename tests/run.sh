#!/bin/bash
# Runs the tests and ends with "N passed, N failed"; fails where one failed or did not run.
#
#	tests/run.sh [--quick] [GROUP...]
#
# Groups: unit daemon clients conformance fuzz asan tsan; all of them where none is named.
# What is missing is installed: Debian packages (apt-get), Python and npm packages in
# tests/.cache and tests/clients/node_modules, each in the version that is pinned here.
# --quick installs nothing, and runs unit and daemon tests of the dev build.
set -euo pipefail
cd "$(dirname "$0")/.."
. cmake/packages.sh

results=build/results
cache=tests/.cache
jobs=$(nproc)
groups=
quick=

usage() {
	sed -n '2,/^set/s/^# \{0,1\}//p' "$0"
	exit "$1"
}

for argument in "$@"; do
	case $argument in
	--quick) quick=yes ;;
	--help) usage 0 ;;
	unit | daemon | clients | conformance | fuzz | asan | tsan) groups+=" $argument" ;;
	*) echo "unknown argument $argument" >&2 && usage 2 >&2 ;;
	esac
done
[ -n "$groups" ] || groups=${quick:+unit daemon}
[ -n "$groups" ] || groups="unit daemon clients conformance fuzz asan tsan"

wants() {
	local group
	for group in "$@"; do
		[[ " $groups " != *" $group "* ]] || return 0
	done
	return 1
}

# once STAMP INPUT COMMAND...: runs the command where INPUT changed since it last went well.
once() {
	local stamp=$1 input=$2 log=$results/install.log
	shift 2
	cmp -s "$input" "$stamp" && return 0
	[ -z "$quick" ] || { echo "--quick installs nothing; run tests/run.sh once" >&2; exit 1; }
	rm -f "$stamp"
	"$@" >>"$log" 2>&1 || { cat "$log" && echo "failed: $*"; exit 1; } >&2
	mkdir -p "$(dirname "$stamp")"
	cp "$input" "$stamp"
}

make_venv() {
	rm -rf "$1" && python3 -m venv "$1" &&
		"$1/bin/pip" install --quiet --disable-pip-version-check -r "$2"
}

venv() {
	once "$cache/$1/installed.txt" "$2" make_venv "$cache/$1" "$2"
}

install() {
	[ -n "$quick" ] || install_packages $build_packages $runtime_packages $test_packages
	venv pytest tests/requirements.txt
	if wants clients; then
		venv client-v1 tests/clients/requirements-v1.txt
		venv client-v2 tests/clients/requirements-v2.txt
	fi
	if wants clients conformance; then
		once tests/clients/node_modules/installed.json tests/clients/package-lock.json \
			npm ci --prefix tests/clients --ignore-scripts --no-audit --no-fund
	fi
}

# A preset that cannot be built is one failure, and what needs it is left out.
build() {
	local log=$results/build-$1.log
	{ cmake --preset "$1" && cmake --build --preset "$1" -j "$jobs"; } >"$log" 2>&1 && return
	cat "$log"
	echo "$1 build: 0 passed, 1 failed" | tee -a "$results/summary"
	return 1
}

# run PRESET GROUP COMMAND...: the command writes JUnit XML to $xml; what it prints is shown
# where something failed.
run() {
	local xml=$PWD/$results/$1-$2.xml log=$results/$1-$2.log start=$SECONDS status=0 name="$1 $2"
	shift 2
	rm -f "$xml"
	"$@" >"$log" 2>&1 || status=$?
	status=$(python3 tests/results.py "$name" "$xml" "$status" $((SECONDS - start))) ||
		cat "$log"
	echo "$status" | tee -a "$results/summary"
}

# A unit test's TAP output is what is counted, so none of it may be cut.
run_ctest() {
	ctest --preset "$@" -j "$jobs" --output-on-failure --output-junit "$xml" \
		--test-output-size-passed 1000000 --test-output-size-failed 1000000
}

# A test that hangs has failed after its time limit (pytest.ini), a run after this one.
run_pytest() {
	local preset=$1
	shift
	SANDBOX_BUILD=$PWD/build/$preset timeout --kill-after=10 900 "$cache/pytest/bin/pytest" \
		-c tests/pytest.ini -n "$jobs" --junitxml="$xml" "$@"
}

mkdir -p "$results"
: >"$results/install.log"
: >"$results/summary"
quick_leaves=
[ -z "$quick" ] || { export SEARCH_TREES=15 && quick_leaves=" and not long"; }
export ASAN_OPTIONS=detect_stack_use_after_return=1:strict_string_checks=1
export UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1
export TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1

install
if wants unit daemon clients conformance && build dev; then
	if wants unit; then run dev unit run_ctest dev; fi
	if wants daemon; then
		run dev daemon run_pytest dev tests/daemon -m "not slow and not clients$quick_leaves"
		[ -n "$quick" ] || run dev slow run_pytest dev tests/daemon -m slow -n 0
	fi
	if wants clients; then run dev clients run_pytest dev tests/daemon -m clients; fi
	if wants conformance; then run dev conformance run_pytest dev tests/conformance -n 0; fi
fi
export SEARCH_TREES=15
if wants asan && build asan; then
	run asan unit run_ctest asan
	run asan daemon run_pytest asan tests/daemon -m "not slow and not clients"
	if wants conformance; then run asan conformance run_pytest asan tests/conformance -n 0; fi
fi
if wants tsan && build tsan; then
	run tsan unit run_ctest tsan
	run tsan daemon run_pytest tsan tests/daemon -m threads
fi
if wants fuzz && build fuzz; then
	run fuzz corpus run_ctest fuzz -R ^fuzz/
fi
exec python3 tests/results.py --total "$results/summary"
