ss -Hltn 'sport = :80' | grep -q . && ss -Hltn 'sport = :443' | grep -q . && systemctl is-active networking | grep -qxE 'active|failed' && ifquery --state $(ifquery --list --all) >/dev/null
