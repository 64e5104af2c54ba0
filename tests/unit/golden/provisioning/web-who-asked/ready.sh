ss -Hltn 'sport = :8080' | grep -q . && { systemctl is-active --quiet networking || systemctl is-failed --quiet networking; } && ifquery --state $(ifquery --list --all) >/dev/null
