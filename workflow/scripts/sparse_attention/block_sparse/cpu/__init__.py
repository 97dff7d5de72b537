"""The kernels for CPUs: C++ sources, how they are compiled, and how they are called."""
