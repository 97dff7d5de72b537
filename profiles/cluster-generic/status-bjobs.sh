#!/bin/sh
# Say whether the LSF job $1 is running, or how it ended.
case $(bjobs -noheader -o stat "$1") in
DONE) echo success ;;
EXIT) echo failed ;;
*) echo running ;;
esac
