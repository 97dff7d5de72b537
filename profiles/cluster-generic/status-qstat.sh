#!/bin/sh
# Say whether the PBS job $1 is running, or how it ended; -x also shows jobs that have ended.
job=$(qstat -x -f "$1") || { echo running; exit; }  # the server does not answer: ask again later
case "$job" in
*"job_state = F"*"Exit_status = 0"* | *"Exit_status = 0"*"job_state = F"*) echo success ;;
*"job_state = F"*) echo failed ;;
*) echo running ;;
esac
