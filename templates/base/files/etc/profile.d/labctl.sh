# A UTF-8 locale, whatever way the session began.
export LANG="${LANG:-C.UTF-8}"
# The node's name as it is now: a shell on the console may be older than the name. (Not by $(<file) in PS1: bash 5.2 never ends reading it.)
if [ -n "${BASH_VERSION:-}" ]; then
  PROMPT_COMMAND='read -r HOSTNAME </proc/sys/kernel/hostname'
  PS1='\u@${HOSTNAME}:\w\$ '
fi
