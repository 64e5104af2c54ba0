docker info >/dev/null && systemctl is-active --quiet containers.service && systemctl is-active networking | grep -qxE 'active|failed' && ifquery --state $(ifquery --list --all) >/dev/null
