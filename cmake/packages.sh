# What this project needs from Debian, as probe=package: a command, a pkg-config module (pc:) or
# a Python module (py:). Sourced by quickstart.sh and tests/run.sh.
build_packages="gcc=gcc cmake=cmake ninja=ninja-build pkg-config=pkg-config
	pc:libmicrohttpd=libmicrohttpd-dev pc:jansson=libjansson-dev
	pc:libpcre2-8=libpcre2-dev pc:nettle=nettle-dev
	pc:sqlite3=libsqlite3-dev pc:libcrypto=libssl-dev pc:libcrypt=libcrypt-dev
	pc:libcurl=libcurl4-openssl-dev"
# What the local engine runs, and what people expect in a sandbox of the host's own /usr.
runtime_packages="runc=runc slirp4netns=slirp4netns nft=nftables mkfs.ext4=e2fsprogs sudo=sudo"
test_packages="python3=python3 py:ensurepip=python3-venv node=nodejs npm=npm git=git rg=ripgrep
	clang-14=clang-14 ip=iproute2 curl=curl strace=strace tmux=tmux busybox=busybox-static
	musl-gcc=musl-tools newuidmap=uidmap"

has_package() {
	case $1 in
	pc:*) pkg-config --exists "${1#pc:}" 2>/dev/null ;;
	py:*) python3 -c "import ${1#py:}" 2>/dev/null ;;
	*) PATH=$PATH:/usr/sbin:/sbin command -v "$1" >/dev/null ;;
	esac
}

missing_packages() {
	local pair missing=
	for pair in "$@"; do
		has_package "${pair%%=*}" || missing+=" ${pair#*=}"
	done
	echo $missing
}

# Installs the missing ones of its arguments through apt-get, by sudo where not root.
install_packages() {
	local missing sudo=
	missing=$(missing_packages "$@")
	[ -n "$missing" ] || return 0
	if ! command -v apt-get >/dev/null; then
		echo "Please install what these Debian packages hold: $missing" >&2
		return 1
	fi
	[ "$(id -u)" -eq 0 ] || sudo=sudo
	if [ -n "$sudo" ] && ! command -v sudo >/dev/null; then
		echo "Please have root run: apt-get install $missing libc6-dev" >&2
		return 1
	fi
	echo "Installing $missing" >&2
	export DEBIAN_FRONTEND=noninteractive
	$sudo apt-get update -qq &&
		$sudo apt-get install -qq -y --no-install-recommends $missing libc6-dev >/dev/null
	missing=$(missing_packages "$@")
	[ -z "$missing" ] || { echo "Could not install $missing" >&2; return 1; }
}
