systemctl is-active --quiet frr && vtysh -c 'show daemons' | grep -qw zebra && systemctl is-active networking | grep -qxE 'active|failed' && ifquery --state $(ifquery --list --all) >/dev/null
