# A UTF-8 locale, whatever way the session began.
export LANG="${LANG:-C.UTF-8}"
# The node's name as it is now: a shell on the console may be older than the name.
# shellcheck disable=SC2016
[ -z "${BASH_VERSION:-}" ] || PS1='\u@$(</proc/sys/kernel/hostname):\w\$ '
