systemctl is-active --quiet squid && ss -Hltn 'sport = :3128' | grep -q . && systemctl is-active networking | grep -qxE 'active|failed' && ifquery --state $(ifquery --list --all) >/dev/null
