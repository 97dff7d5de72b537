// Entmax for one block of queries: only scores within 1 of a row's highest can be in its support, and only they are
// kept.
#pragma once
#include "problem.h"

namespace sparse {

// Some of the scores of a row, and the places of their keys.
struct Candidates {
  std::vector<float> values;
  std::vector<int32_t> places;
  float top = MASKED, limit = MASKED;  // the highest score; a lower bound of the scores that the support can hold
  int64_t count = 0;

  void clear(size_t most) {
    top = limit = MASKED, count = 0;
    if (values.size() < most + TILE) values.resize(most + TILE), places.resize(most + TILE);
  }

  // Add the scores of a tile that lie above a bound.
  void add(Vector scores, int32_t tile, float bound) {
#ifdef __AVX512F__
    const __m512 given = (__m512)scores;
    const __mmask16 above = _mm512_cmp_ps_mask(given, _mm512_set1_ps(bound), _CMP_GT_OQ);
    if (!above) return;
    const __m512i order = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
    const __m512i here = _mm512_add_epi32(_mm512_set1_epi32(tile * TILE), order);
    _mm512_storeu_ps(values.data() + count, _mm512_maskz_compress_ps(above, given));
    _mm512_storeu_si512(places.data() + count, _mm512_maskz_compress_epi32(above, here));
    count += __builtin_popcount(above);
    raise(_mm512_reduce_max_ps(given));
#else
    if (!(highest(scores) > bound)) return;
    for (int j = 0; j < TILE; j++) {
      values[count] = scores[j], places[count] = tile * TILE + j;
      count += scores[j] > bound;
    }
    raise(highest(scores));
#endif
  }

  // Of scores so large that 1 less rounds to the same number, the highest itself must stay above the limit.
  void raise(float score) {
    if (!(score > top)) return;
    top = score, limit = std::min(top - 1, std::nextafter(top, MASKED));
  }

  // Keep the scores above a bound, less `shift`.
  void keep(float bound, float shift) {
    int64_t kept = 0;
    for (int64_t i = 0; i < count; i++) {
      const float value = values[i];
      values[kept] = value - shift, places[kept] = places[i];
      kept += value > bound;
    }
    count = kept;
    std::fill_n(values.begin() + count, TILE, MASKED);
  }
};

// x to a fixed power, for x >= 0 and 0 to the 0 being 0.
struct Power {
  float exponent;
  int whole;  // the exponent where it is a small whole number, else -1

  explicit Power(float e)
      : exponent(e), whole(std::abs(e - std::round(e)) < 1e-6f && e < 16 ? int(std::round(e)) : -1) {}

  Vector operator()(Vector x) const {
    if (whole == 0) return x > 0 ? spread(1.f) : Vector{};
    Vector result = x;
    if (whole > 0)
      for (int i = 1; i < whole; i++) result *= x;
    else
      for (int j = 0; j < TILE; j++) result[j] = x[j] > 0 ? std::pow(x[j], exponent) : 0.f;
    return result;
  }
};

// The threshold of scores whose highest is 0: where the norm ||[scores - tau]_+|| with exponent 1 / (alpha - 1) is 1.
// The norm is convex and falls with tau, so Newton's method from -1 rises to it and never passes it.
inline float threshold(const Candidates& row, float exponent) {
  const Power slope_of(exponent - 1);
  float tau = -1.f;
  for (int step = 0; step < 100; step++) {
    Vector sums{}, slopes{};
    for (int64_t i = 0; i < row.count; i += TILE) {
      const Vector above = positive(load(row.values.data() + i) - tau), slope = slope_of(above);
      slopes += slope;
      sums += slope * above;
    }
    const float total = sum(sums), slope = sum(slopes);
    const float norm = exponent == 2.f ? std::sqrt(total) : exponent == 1.f ? total : std::pow(total, 1 / exponent);
    const float rise = (norm - 1) * total / (norm * slope);
    if (!(rise > 4 * std::numeric_limits<float>::epsilon())) break;
    tau += rise;
  }
  return tau;
}

// What one thread needs for it.
struct EntmaxRoom {
  std::vector<Candidates> rows;
  std::vector<float> weights, added;
};

// Values are in the order of the tokens: few of them are read, so it costs less to look up their places.
inline void entmax_forward(const Problem& p, const Block& block, const float* packed, const float* values,
                           EntmaxRoom& room, float* out, float* thresholds) {
  const int64_t* order = order_of(p.key_order, p, block.batch, block.head, p.keys);
  const int64_t width = padded(p.value_dim, TILE);
  const float exponent = 1 / (p.alpha - 1);
  const Power power(exponent);
  room.rows.resize(padded(p.query_block, ROWS)), room.added.resize(width);
  for (Candidates& row : room.rows) row.clear(block.tiles.size() * TILE);
  block.scores(packed, 0, block.tiles.size(), [&](int64_t r, size_t t, Vector scores) {
    Candidates& row = room.rows[r];
    row.add(scores, block.tiles[t], row.limit);
  });
  for (int64_t r = 0; r < block.rows; r++) {
    Candidates& row = room.rows[r];
    const int64_t place = block.places[r];
    std::fill(room.added.begin(), room.added.end(), 0.f);
    thresholds[place] = NOTHING;
    if (row.count) {
      row.keep(row.limit, row.top);
      const float tau = threshold(row, exponent);
      row.keep(tau, tau);
      room.weights.resize(std::max<size_t>(room.weights.size(), row.count + TILE));
      for (int64_t i = 0; i < row.count; i += TILE)
        store(room.weights.data() + i, power(positive(load(row.values.data() + i))));
      if (order)
        for (int64_t i = 0; i < row.count; i++) row.places[i] = int32_t(order[row.places[i]]);
      add_chosen_rows(room.added.data(), room.weights.data(), row.places.data(), row.count, values, width);
      thresholds[place] = row.top + tau;
    }
    std::copy_n(room.added.data(), p.value_dim, out + place * p.value_dim);
  }
}

}  // namespace sparse
