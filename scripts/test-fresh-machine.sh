#!/usr/bin/env bash
# Proves the set-up on a machine that has nothing: bootstraps a minimal Debian into a folder, brings in Node and a clone
# of this commit, and runs commands there as a new user would. Needs root, debootstrap and a Debian whose own apt sources
# serve that release. Not part of npm test; takes some minutes.
#
#   scripts/test-fresh-machine.sh [bookworm|trixie] [COMMAND]
#
# AS=NAME runs COMMAND as an ordinary user of that name, who may install nothing with apt: the lower rungs of the ladder.
# COMMAND runs in the clone; the default sets up and then asks the doctor. Examples:
#   scripts/test-fresh-machine.sh bookworm 'npm test'
#   scripts/test-fresh-machine.sh trixie 'npm run quickstart -- --set training.max_steps=3'
#   AS=ada scripts/test-fresh-machine.sh bookworm 'npm run quickstart -- --set training.max_steps=3 && npx prefgrad doctor && npx prefgrad cache clean'
# The bootstrapped system is kept as a tar beside the folder, so that a second run starts in seconds.
set -euo pipefail

release=${1:-bookworm}
command=${2:-'node scripts/setup.mjs && node scripts/setup.mjs && node scripts/probe-adapter.mjs && npx prefgrad doctor'}
repository=$(cd "$(dirname "$0")/.." && pwd)
work=${FRESH_DIRECTORY:-/tmp/prefgrad-fresh}
root=$work/$release-$$
base=$work/$release.tar

die() {
  echo "test-fresh-machine: $*" >&2
  exit 1
}

[ "$(id -u)" = 0 ] || die 'needs root (debootstrap and chroot)'
command -v debootstrap > /dev/null || die 'needs debootstrap: apt-get install debootstrap'

# The mirror this machine itself uses; no host name is known here.
mirror=$({ cat /etc/apt/sources.list.d/debian.sources /etc/apt/sources.list 2> /dev/null || true; } |
  awk '/^URIs:/ { print $2 } /^deb / { for (i = 2; i <= NF; i++) if ($i ~ /:\/\//) print $i }' | sed -n 1p)
[ -n "$mirror" ] || die 'found no Debian mirror in the apt sources of this machine'

mkdir -p "$work"
if [ ! -f "$base" ]; then
  debootstrap --variant=minbase --include=ca-certificates "$release" "$work/base-$$" "$mirror" > "$work/debootstrap.log"
  tar -C "$work/base-$$" -cf "$base.part" . && mv "$base.part" "$base"
  rm -rf "$work/base-$$"
fi

leave() {
  for mount in proc dev; do mountpoint -q "$root/$mount" && umount "$root/$mount"; done
  rm -rf --one-file-system "$root"
}
trap leave EXIT

mkdir -p "$root"
tar -C "$root" -xf "$base"
# A minbase has the release alone; every installed Debian has its updates too.
suite() { echo "deb $mirror $1 main"; }
{ suite "$release"; suite "$release-updates"; } > "$root/etc/apt/sources.list"
mount -t proc proc "$root/proc"
mount --bind /dev "$root/dev"
cp -L /etc/resolv.conf /etc/hosts "$root/etc/"
mkdir -p "$root/usr/local/share/ca-certificates"
cp -r /etc/ssl/certs/. "$root/etc/ssl/certs/"

# Node and npm as somebody would unpack them from an archive: two programs and one folder.
cp "$(readlink -f "$(command -v node)")" "$root/usr/local/bin/node"
mkdir -p "$root/usr/local/lib/node_modules"
cp -r "$(dirname "$(readlink -f "$(command -v npm)")")/.." "$root/usr/local/lib/node_modules/npm"
ln -s ../lib/node_modules/npm/bin/npm-cli.js "$root/usr/local/bin/npm"
ln -s ../lib/node_modules/npm/bin/npx-cli.js "$root/usr/local/bin/npx"

user=${AS:-root}
home=/root
if [ "$user" != root ]; then
  home=/home/$user
  chroot "$root" useradd --create-home "$user"
fi
git clone -q --no-hardlinks "$repository" "$root$home/prefgrad"
chroot "$root" chown -R "$user" "$home"

# Only the address of the package registry comes along; everything else of this machine's settings stays outside.
chroot --userspec="$user" "$root" /usr/bin/env -i HOME="$home" PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 \
  npm_config_registry="$(npm config get registry --loglevel=error)" NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt \
  bash -c "cd $home/prefgrad && $command"
echo "test-fresh-machine: $release passed as $user"
