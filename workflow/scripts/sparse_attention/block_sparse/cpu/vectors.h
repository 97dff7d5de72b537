// Vectors of TILE numbers, and rows made of them.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#ifdef __AVX512F__
#include <immintrin.h>
#endif

namespace sparse {

// TILE: numbers of a vector, and keys of a tile; ROWS: rows that are computed together, as many as the registers hold
#if defined(__AVX512F__)
constexpr int TILE = 16, ROWS = 8;
#elif defined(__AVX__)
constexpr int TILE = 8, ROWS = 4;
#else
constexpr int TILE = 4, ROWS = 4;
#endif

typedef float Vector __attribute__((vector_size(TILE * 4), aligned(4), may_alias));
typedef int32_t Integers __attribute__((vector_size(TILE * 4), aligned(4), may_alias));

inline Vector load(const float* from) { return *reinterpret_cast<const Vector*>(from); }
inline Integers load(const int32_t* from) { return *reinterpret_cast<const Integers*>(from); }
inline void store(float* to, Vector values) { *reinterpret_cast<Vector*>(to) = values; }
inline Vector spread(float value) { return value - Vector{}; }
inline Vector positive(Vector x) { return x > 0 ? x : Vector{}; }
inline int64_t parts(int64_t whole, int64_t part) { return (whole + part - 1) / part; }
inline int64_t padded(int64_t size, int64_t multiple) { return parts(size, multiple) * multiple; }

inline float sum(Vector v) {
#ifdef __AVX512F__
  return _mm512_reduce_add_ps((__m512)v);
#else
  for (int half = TILE / 2; half; half /= 2)
    for (int i = 0; i < half; i++) v[i] += v[i + half];
  return v[0];
#endif
}

inline float highest(Vector v) {
#ifdef __AVX512F__
  return _mm512_reduce_max_ps((__m512)v);
#else
  for (int half = TILE / 2; half; half /= 2)
    for (int i = 0; i < half; i++) v[i] = std::max(v[i], v[i + half]);
  return v[0];
#endif
}

// e^x for x <= 0 to about a unit in the last place, after Cephes' expf; 0 far below
inline Vector exponential(Vector x) {
  const Vector low = spread(-87.f);
  const Vector inside = x > low ? x : low;
  const Vector magic = inside * 1.44269504088896341f + 12582912.f;  // the sum rounds to a whole number
  const Vector power = magic - 12582912.f;
  const Vector rest = (inside - power * 0.693359375f) + power * 2.12194440e-4f;
  Vector y = spread(1.9875691500e-4f);
  y = y * rest + 1.3981999507e-3f;
  y = y * rest + 8.3334519073e-3f;
  y = y * rest + 4.1665795894e-2f;
  y = y * rest + 1.6666665459e-1f;
  y = y * rest + 5.0000001201e-1f;
  y = y * rest * rest + rest + 1.f;
  const Integers bits = __builtin_convertvector(power, Integers) << 23;
  return x > low ? (Vector)((Integers)y + bits) : Vector{};
}

inline float dot(const float* a, const float* b, int64_t width) {
  Vector added{};
  for (int64_t c = 0; c < width; c += TILE) added += load(a + c) * load(b + c);
  return sum(added);
}

inline void add_scaled(float* to, float weight, const float* row, int64_t width) {
  for (int64_t c = 0; c < width; c += TILE) store(to + c, load(to + c) + weight * load(row + c));
}

// to += sum_i weights[i] * rows[places[i]] on N vectors; even and odd terms are added up apart, for speed
template <int N>
inline void add_chosen(float* to, const float* weights, const int32_t* places, int64_t count, const float* rows,
                       int64_t width) {
  Vector even[N], odd[N];
  for (int n = 0; n < N; n++) even[n] = load(to + n * TILE), odd[n] = Vector{};
  int64_t i = 0;
  for (; i + 1 < count; i += 2) {
    const float *a = rows + places[i] * width, *b = rows + places[i + 1] * width;
    const Vector u = spread(weights[i]), v = spread(weights[i + 1]);
    for (int n = 0; n < N; n++) even[n] += u * load(a + n * TILE), odd[n] += v * load(b + n * TILE);
  }
  if (i < count) {
    const float* a = rows + places[i] * width;
    for (int n = 0; n < N; n++) even[n] += weights[i] * load(a + n * TILE);
  }
  for (int n = 0; n < N; n++) store(to + n * TILE, even[n] + odd[n]);
}

// to (width) += sum_i weights[i] * rows[places[i]]
inline void add_chosen_rows(float* to, const float* weights, const int32_t* places, int64_t count, const float* rows,
                            int64_t width) {
  int64_t c = 0;
  for (; c + 4 * TILE <= width; c += 4 * TILE) add_chosen<4>(to + c, weights, places, count, rows + c, width);
  for (; c + 2 * TILE <= width; c += 2 * TILE) add_chosen<2>(to + c, weights, places, count, rows + c, width);
  for (; c < width; c += TILE) add_chosen<1>(to + c, weights, places, count, rows + c, width);
}

// to[r] (width) += sum_i left[r * across + i * along] * right[i], for ROWS rows
inline void add_product(float* to, const float* left, int64_t across, int64_t along, const float* right, int64_t inner,
                        int64_t width) {
  for (int64_t c = 0; c < width; c += 2 * TILE) {
    const int64_t other = c + TILE < width ? c + TILE : c;
    Vector low[ROWS], high[ROWS];
#pragma GCC unroll 8
    for (int r = 0; r < ROWS; r++) low[r] = load(to + r * width + c), high[r] = load(to + r * width + other);
    for (int64_t i = 0; i < inner; i++) {
      const Vector a = load(right + i * width + c), b = load(right + i * width + other);
#pragma GCC unroll 8
      for (int r = 0; r < ROWS; r++) {
        const float weight = left[r * across + i * along];
        low[r] += weight * a;
        high[r] += weight * b;
      }
    }
#pragma GCC unroll 8
    for (int r = 0; r < ROWS; r++) {
      store(to + r * width + c, low[r]);
      if (other != c) store(to + r * width + other, high[r]);
    }
  }
}

// The row of an array that comes at a place: that of an order, or the place itself where there is none.
inline int64_t row_at(const int64_t* order, int64_t place) { return order ? order[place] : place; }

// (rows, columns), in an order, to (tiles of rows, columns, TILE), zeros behind the last row
inline void pack(const float* from, const int64_t* order, int64_t rows, int64_t columns, std::vector<float>& packed) {
  packed.resize(padded(rows, TILE) * columns);
  for (int64_t row = 0; row < rows; row += TILE) {
    float* to = packed.data() + row * columns;
    const int64_t here = std::min<int64_t>(TILE, rows - row);
    const float* sources[TILE];
    for (int64_t j = 0; j < here; j++) sources[j] = from + row_at(order, row + j) * columns;
    for (int64_t c = 0; c < columns; c++)
      for (int64_t j = 0; j < TILE; j++) to[c * TILE + j] = j < here ? sources[j][c] : 0.f;
  }
}

// Rows of whole vectors, in an order, zeros behind the last column: the array itself where it is that already.
inline const float* widen(const float* from, const int64_t* order, int64_t rows, int64_t columns,
                          std::vector<float>& wide) {
  const int64_t width = padded(columns, TILE);
  if (width == columns && !order) return from;
  wide.assign(rows * width, 0.f);
  for (int64_t row = 0; row < rows; row++)
    std::copy_n(from + row_at(order, row) * columns, columns, wide.data() + row * width);
  return wide.data();
}

}  // namespace sparse
