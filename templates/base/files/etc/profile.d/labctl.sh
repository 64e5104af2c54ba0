# A UTF-8 locale, whatever way the session began.
export LANG="${LANG:-C.UTF-8}"
