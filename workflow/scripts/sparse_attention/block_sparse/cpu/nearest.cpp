// The nearest centroids of vectors, by squared distances in double precision, and the nearest directions.
//
// Every square is rounded before it is added, as PyTorch does it, so that both choose the same of nearly equal ones.
#ifdef __clang__
#pragma clang fp contract(off)
#else
#pragma GCC optimize("fp-contract=off")
#endif
#include <limits>

#include "vectors.h"

// Arrays are contiguous: vectors (heads, vectors, dim), centroids (heads, runs, clusters, dim), and what is filled,
// nearest (heads, runs, vectors, top), the nearest first and of equally near ones the lowest number first.
extern "C" struct Assignment {
  const float* vectors;
  const double* centroids;
  int64_t* nearest;
  int64_t heads, count, runs, clusters, dim, top;
  int32_t threads;
};

using namespace sparse;

namespace {

constexpr int LANES = TILE / 2;  // vectors that are compared at once

typedef double Doubles __attribute__((vector_size(LANES * 8), aligned(8), may_alias));
typedef int64_t Longs __attribute__((vector_size(LANES * 8), aligned(8), may_alias));

// Fill the distances (clusters, LANES) of vectors (dim, LANES) to the centroids (clusters, dim) of a run.
void distances(const double* vectors, const double* centroids, int64_t clusters, int64_t dim, double* to) {
  for (int64_t c = 0; c < clusters; c++) {
    Doubles total{};
    for (int64_t d = 0; d < dim; d++) {
      const Doubles apart = *reinterpret_cast<const Doubles*>(vectors + d * LANES) - centroids[c * dim + d];
      const Doubles square = apart * apart;
      total += square;
    }
    *reinterpret_cast<Doubles*>(to + c * LANES) = total;
  }
}

// Fill the numbers (here, top) of the smallest distances, which are used up.
void choose(double* distances, int64_t clusters, int64_t top, int64_t here, int64_t* to) {
  for (int64_t place = 0; place < top; place++) {
    Doubles least = std::numeric_limits<double>::infinity() - Doubles{};
    Longs number{};
    for (int64_t c = 0; c < clusters; c++) {
      const Doubles distance = *reinterpret_cast<const Doubles*>(distances + c * LANES);
      const Longs nearer = distance < least;
      least = nearer ? distance : least;
      number = nearer ? c - Longs{} : number;
    }
    for (int64_t lane = 0; lane < here; lane++) {
      to[lane * top + place] = number[lane];
      distances[number[lane] * LANES + lane] = std::numeric_limits<double>::infinity();
    }
  }
}

}  // namespace

extern "C" void assign(const Assignment* assignment) {
  const Assignment& a = *assignment;
  const int64_t parts_of_head = parts(a.count, LANES);
#pragma omp parallel num_threads(a.threads)
  {
    std::vector<double> vectors(a.dim * LANES), room(a.clusters * LANES);
#pragma omp for
    for (int64_t i = 0; i < a.heads * parts_of_head; i++) {
      const int64_t head = i / parts_of_head, start = i % parts_of_head * LANES;
      const int64_t here = std::min<int64_t>(LANES, a.count - start);
      for (int64_t lane = 0; lane < LANES; lane++) {
        const float* from = a.vectors + (head * a.count + start + std::min(lane, here - 1)) * a.dim;
        for (int64_t d = 0; d < a.dim; d++) vectors[d * LANES + lane] = from[d];
      }
      for (int64_t run = head * a.runs; run < (head + 1) * a.runs; run++) {
        distances(vectors.data(), a.centroids + run * a.clusters * a.dim, a.clusters, a.dim, room.data());
        choose(room.data(), a.clusters, a.top, here, a.nearest + (run * a.count + start) * a.top);
      }
    }
  }
}

// Fill nearest (rows, count) from the products (rows, half, count) of vectors with directions: the number of the
// direction with the highest product, `half` more for its opposite, and of equal products the lowest number.
extern "C" void nearest_directions(const float* products, int64_t* nearest, int64_t rows, int64_t half, int64_t count,
                                   int32_t threads) {
  const int64_t parts_of_row = parts(count, TILE);
#pragma omp parallel for num_threads(threads)
  for (int64_t i = 0; i < rows * parts_of_row; i++) {
    const int64_t row = i / parts_of_row, start = i % parts_of_row * TILE;
    const int64_t here = std::min<int64_t>(TILE, count - start);
    const float* from = products + row * half * count + start;
    Vector most = spread(-std::numeric_limits<float>::infinity()), least = -most;
    Integers of_most{}, of_least{};
    for (int64_t j = 0; j < half; j++) {
      Vector product{};
      if (here == TILE)
        product = load(from + j * count);
      else
        std::copy_n(from + j * count, here, reinterpret_cast<float*>(&product));
      const Integers higher = product > most, lower = product < least, number = int32_t(j) - Integers{};
      most = higher ? product : most, of_most = higher ? number : of_most;
      least = lower ? product : least, of_least = lower ? number : of_least;
    }
    const Integers chosen = -least > most ? of_least + int32_t(half) : of_most;
    for (int64_t lane = 0; lane < here; lane++) nearest[row * count + start + lane] = chosen[lane];
  }
}
