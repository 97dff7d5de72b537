"""Published tables, made from those of single jobs: means over seeds, intervals, Pareto fronts."""
