#!/bin/sh
# Installs, on Debian, what the drivers in other languages need. What is there
# already is left alone. Without it the benchmark runs too, and names the rows
# that it skips.
set -eu

missing=
need() { # need PACKAGE FILE-OR-COMMAND: the package is wanted if that is not there
	if ! command -v "$2" >/dev/null && ! [ -e "$2" ]; then
		missing="$missing $1"
	fi
}
need gcc gcc
need libc6-dev /usr/include/stdio.h
need libzmq3-dev /usr/include/zmq.h
need python3 python3
need erlang-base escript

if [ -z "$missing" ]; then
	echo "everything is there"
	exit 0
fi
if [ "$(id -u)" -ne 0 ]; then
	echo "missing:$missing; run this as root" >&2
	exit 1
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -q
# $missing is a list of words.
# shellcheck disable=SC2086
apt-get install -q -y --no-install-recommends $missing
