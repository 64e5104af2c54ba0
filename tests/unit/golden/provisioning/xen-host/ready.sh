xl list >/dev/null && { systemctl is-active --quiet networking || systemctl is-failed --quiet networking; } && ifquery --state $(ifquery --list --all) >/dev/null
