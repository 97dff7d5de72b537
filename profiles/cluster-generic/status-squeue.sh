#!/bin/sh
# Say whether the Slurm job $1 is running, or how it ended.
case $(squeue --noheader --states=all --format=%T --jobs="$1") in
COMPLETED) echo success ;;
BOOT_FAIL | CANCELLED | DEADLINE | FAILED | NODE_FAIL | OUT_OF_MEMORY | PREEMPTED | TIMEOUT) echo failed ;;
*) echo running ;;
esac
