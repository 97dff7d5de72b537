"""From the tables of single jobs to the tables that are published: means over seeds, intervals, Pareto fronts."""
