#!/usr/bin/env bash
# Makes a Vagrant box from labctl's own base image, for tests/bench: the same disk, kernel and initrd on both sides.
#
#   vagrant-box.sh LAYER TARGET     LAYER: directory of the base layer (labctl image ls --json), TARGET: an empty directory
#
# In TARGET: base.box, kernel, initrd, cmdline, and the key that opens its machines. What differs from labctl's disk: the network
# comes from DHCP and is not hidden, root's key and a host key are in it. Edited by debugfs(8): no root, no mount.
set -euo pipefail
layer=$1 target=$2

work=$(mktemp -d "$target/work.XXXXXX")
trap 'rm -rf "$work"' EXIT
qemu-img convert -f qcow2 -O raw "$layer/disk.qcow2" "$work/disk.raw"
ssh-keygen -q -t ed25519 -N '' -C bench -f "$target/key"
ssh-keygen -q -t ed25519 -N '' -C bench -f "$work/host"
printf '[Match]\nType=ether\n[Network]\nDHCP=ipv4\nLinkLocalAddressing=no\n' >"$work/network"
echo '# labctl mounts its root by the kernel command line; Vagrant edits this file.' >"$work/fstab"
cat >"$work/edit" <<END
write $work/fstab /etc/fstab
rm /etc/systemd/system/ssh.socket.d/management.conf
rm /etc/systemd/system/sysinit.target.wants/management-namespace.service
rm /etc/systemd/system/systemd-networkd.service
rm /etc/systemd/system/systemd-networkd.socket
symlink /etc/systemd/system/multi-user.target.wants/systemd-networkd.service /lib/systemd/system/systemd-networkd.service
symlink /etc/systemd/system/sockets.target.wants/systemd-networkd.socket /lib/systemd/system/systemd-networkd.socket
mkdir /etc/systemd/network
write $work/network /etc/systemd/network/10-dhcp.network
mkdir /root/.ssh
set_inode_field /root/.ssh mode 040700
write $target/key.pub /root/.ssh/authorized_keys
set_inode_field /root/.ssh/authorized_keys mode 0100600
write $work/host /etc/ssh/ssh_host_ed25519_key
set_inode_field /etc/ssh/ssh_host_ed25519_key mode 0100600
write $work/host.pub /etc/ssh/ssh_host_ed25519_key.pub
END
for file in /etc/fstab /etc/systemd/network/10-dhcp.network /root/.ssh /root/.ssh/authorized_keys /etc/ssh/ssh_host_ed25519_key; do
  printf 'set_inode_field %s uid 0\nset_inode_field %s gid 0\n' "$file" "$file" >>"$work/edit"
done
debugfs -w -f "$work/edit" "$work/disk.raw" >"$work/said" 2>&1
e2fsck -fp "$work/disk.raw" >>"$work/said" 2>&1 || { cat "$work/said" >&2 && exit 1; }

mkdir "$work/box"
qemu-img convert -f raw -O qcow2 "$work/disk.raw" "$work/box/box.img"
size_gib=$(($(stat -c %s "$work/disk.raw") / 2 ** 30))
printf '{"provider": "libvirt", "format": "qcow2", "virtual_size": %d}\n' "$size_gib" >"$work/box/metadata.json"
tar -C "$work/box" -cf "$target/base.box" metadata.json box.img
cp "$layer"/vmlinu[xz] "$target/kernel" # plain, or as it was packed
cp "$layer/initrd" "$target/initrd"
sed -n 's/^ *"cmdline": "\(.*\)",$/\1/p' "$layer/layer.json" >"$target/cmdline"
