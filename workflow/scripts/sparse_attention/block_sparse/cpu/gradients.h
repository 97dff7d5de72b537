// The backward pass. A group of keys is one thread's, so sums over queries are added up in a fixed order.
#pragma once
#include "entmax.h"
#include "softmax.h"

namespace sparse {

// What one thread reads and adds up for a group of keys: rows of whole vectors, and keys and values packed in tiles.
struct Gradients {
  const Problem& p;
  const int64_t width, value_width;
  std::vector<float> packed, packed_values, wide_keys, wide_values;
  std::vector<float> key, value, query;        // the gradients: (keys, width), (keys, value_width), (rows, width)
  std::vector<float> query_rows, output_rows;  // of a block: its queries, and the gradient of its output
  std::vector<float> shares, changes, means, limits, held;
  std::vector<Candidates> rows;
  const float *keys = nullptr, *values = nullptr;
  const int64_t* order = nullptr;  // of the keys

  explicit Gradients(const Problem& problem)
      : p(problem), width(padded(problem.dim, TILE)), value_width(padded(problem.value_dim, TILE)) {}

  void start(int64_t group, const int64_t* of_keys) {
    order = of_keys;
    const float *key_rows = p.key + group * p.keys * p.dim, *value_rows = p.value + group * p.keys * p.value_dim;
    pack(key_rows, order, p.keys, p.dim, packed);
    if (p.alpha == 1) pack(value_rows, order, p.keys, p.value_dim, packed_values);
    keys = widen(key_rows, order, p.keys, p.dim, wide_keys);
    values = widen(value_rows, order, p.keys, p.value_dim, wide_values);
    key.assign(padded(p.keys, TILE) * width, 0.f), value.assign(padded(p.keys, TILE) * value_width, 0.f);
  }

  void start(const Block& block, const float* output_gradient) {
    const int64_t all = block.all_rows();
    query.assign(all * width, 0.f), query_rows.assign(all * width, 0.f), output_rows.assign(all * value_width, 0.f);
    for (int64_t r = 0; r < block.rows; r++) {
      const int64_t place = block.places[r];
      std::copy_n(p.query + place * p.dim, p.dim, query_rows.data() + r * width);
      std::copy_n(output_gradient + place * p.value_dim, p.value_dim, output_rows.data() + r * value_width);
    }
  }

  void finish(int64_t group, float* key_gradient, float* value_gradient) const {
    for (int64_t at = 0; at < p.keys; at++) {
      const int64_t place = group * p.keys + row_at(order, at);
      for (int64_t c = 0; c < p.dim; c++) key_gradient[place * p.dim + c] += key[at * width + c];
      for (int64_t c = 0; c < p.value_dim; c++) value_gradient[place * p.value_dim + c] += value[at * value_width + c];
    }
  }
};

// With s = p^(2 - alpha) and change_j = gradient . value_j, the gradient of the score of key j is
// s_j (change_j - sum(s change) / sum(s)) (Peters et al. 2019, proposition 2).
inline void entmax_backward(const Problem& p, const Block& block, Gradients& g, const float* thresholds) {
  const float exponent = 1 / (p.alpha - 1);
  const Power slope_of(exponent - 1);
  g.rows.resize(padded(p.query_block, ROWS));
  for (Candidates& row : g.rows) row.clear(block.tiles.size() * TILE);
  block.scores(g.packed.data(), 0, block.tiles.size(), [&](int64_t r, size_t t, Vector scores) {
    if (r < block.rows) g.rows[r].add(scores, block.tiles[t], thresholds[block.places[r]]);
  });
  for (int64_t r = 0; r < block.rows; r++) {
    Candidates& row = g.rows[r];
    const float limit = thresholds[block.places[r]];
    row.keep(limit, limit);
    const float *output = g.output_rows.data() + r * g.value_width, *query = g.query_rows.data() + r * g.width;
    g.changes.resize(std::max<size_t>(g.changes.size(), row.count + TILE));
    g.shares.resize(std::max<size_t>(g.shares.size(), row.count + TILE));
    for (int64_t i = 0; i < row.count; i += TILE)
      store(g.shares.data() + i, slope_of(positive(load(row.values.data() + i))));
    float total = 0, slopes = 0;
    for (int64_t i = 0; i < row.count; i++) {
      g.changes[i] = dot(output, g.values + row.places[i] * g.value_width, g.value_width);
      add_scaled(g.value.data() + row.places[i] * g.value_width, g.shares[i] * row.values[i], output, g.value_width);
      total += g.shares[i] * g.changes[i], slopes += g.shares[i];
    }
    const float mean = slopes > 0 ? total / slopes : 0;
    for (int64_t i = 0; i < row.count; i++) {
      g.changes[i] = g.shares[i] * (g.changes[i] - mean) * p.scale;
      add_scaled(g.key.data() + row.places[i] * g.width, g.changes[i], query, g.width);
    }
    add_chosen_rows(g.query.data() + r * g.width, g.changes.data(), row.places.data(), row.count, g.keys, g.width);
  }
}

// With p the probabilities, the gradient of the score of key j is p_j (change_j - sum(p change)), and the sum is that
// of output times its gradient (Dao et al. 2022).
inline void softmax_backward(const Problem& p, const Block& block, Gradients& g, const float* thresholds,
                             const float* output, const float* output_gradient) {
  const int64_t rows = block.all_rows();
  g.shares.resize(rows * WIDE), g.changes.resize(rows * WIDE);
  g.means.assign(rows, 0.f), g.held.assign(rows * p.value_dim, 0.f);
  g.limits.assign(rows, NOTHING);
  for (int64_t r = 0; r < block.rows; r++) {
    const int64_t place = block.places[r];
    g.limits[r] = thresholds[place];
    for (int64_t c = 0; c < p.value_dim; c++) {
      const float change = output_gradient[place * p.value_dim + c];
      g.held[r * p.value_dim + c] = change;
      g.means[r] += output[place * p.value_dim + c] * change;
    }
  }
  for (size_t from = 0; from < block.tiles.size(); from += CHUNK) {
    const size_t to = std::min(from + CHUNK, block.tiles.size());
    block.scores(g.packed.data(), from, to, [&](int64_t r, size_t t, Vector scores) {
      const bool there = g.limits[r] < NOTHING;
      const Vector share = there ? (scores > MASKED ? exponential(scores - g.limits[r]) : Vector{}) : Vector{};
      store(g.shares.data() + r * WIDE + (t - from) * TILE, share);
    });
    block.products(g.held.data(), g.packed_values.data(), p.value_dim, from, to,
                   [&](int64_t r, size_t t, Vector change) {
                     const int64_t at = r * WIDE + (t - from) * TILE;
                     store(g.changes.data() + at, load(g.shares.data() + at) * (change - g.means[r]) * p.scale);
                   });
    for (const Run run : block.runs(from, to))
      for (int64_t r = 0; r < rows; r += ROWS)
        add_product(g.query.data() + r * g.width, g.changes.data() + r * WIDE + (run.from - from) * TILE, WIDE, 1,
                    g.keys + run.key * g.width, run.keys, g.width);
    for (size_t t = from; t < to; t++) {
      const int64_t column = (t - from) * TILE, key = int64_t(block.tiles[t]) * TILE;
      for (int64_t j = 0; j < TILE; j += ROWS) {
        add_product(g.key.data() + (key + j) * g.width, g.changes.data() + column + j, 1, WIDE, g.query_rows.data(),
                    rows, g.width);
        add_product(g.value.data() + (key + j) * g.value_width, g.shares.data() + column + j, 1, WIDE,
                    g.output_rows.data(), rows, g.value_width);
      }
    }
  }
}

}  // namespace sparse
