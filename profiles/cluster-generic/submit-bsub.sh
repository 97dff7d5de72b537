#!/bin/sh
# Submit the script $4 to LSF with $1 cores, $2 MiB of memory and $3 minutes, and print the number of the job alone.
set -e
answer=$(bsub -n "$1" -R "span[hosts=1] rusage[mem=$2MB]" -M "$2MB" -W "$3" -o ".snakemake/lsf-%J.log" "$4")
number=${answer#*<}
echo "${number%%>*}"
