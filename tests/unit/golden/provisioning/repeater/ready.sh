systemctl is-active networking | grep -qxE 'active|failed' && ifquery --state $(ifquery --list --all) >/dev/null
