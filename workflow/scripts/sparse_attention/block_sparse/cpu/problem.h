// What is attended to, and how a block of queries walks the tiles of keys that its list names.
#pragma once
#include <limits>

#include "vectors.h"

// The C interface. Arrays are contiguous: query (batch, heads, queries, dim), key (batch, groups, keys, dim), value
// (batch, groups, keys, value_dim). A pair counts when the position of its key lies between its query's first and last;
// these are (batch, seen, queries) and (batch, seen, keys) with seen = 1 or heads. Lists: counts (lists, query blocks)
// and indices (lists, query blocks, width), list = batch * list_batch + head * list_head; without indices every block
// of keys is kept. Orders (1 or batch, heads, queries) and (1 or batch, heads, keys) say which query and which key
// comes at each place of the blocks; without them each one comes at its own. Every other array is in the order of the
// tokens.
extern "C" struct Problem {
  const float *query, *key, *value;
  const int32_t *counts, *indices;
  const int32_t *first, *last, *position;
  const int64_t *query_order, *key_order;
  int64_t batch, heads, groups, seen, queries, keys, dim, value_dim;
  int64_t query_block, key_block, width, list_batch, list_head, order_batch;
  float scale, alpha;  // alpha 1 is softmax
  int32_t threads;
};

namespace sparse {

constexpr float MASKED = -1e30f;  // the score of a pair that does not count; finite, so no compiler flag can drop it
constexpr float NOTHING = std::numeric_limits<float>::infinity();  // the threshold of a query without any key

// The order of a batch and head, or nothing.
inline const int64_t* order_of(const int64_t* orders, const Problem& p, int64_t batch, int64_t head, int64_t size) {
  return orders ? orders + (batch * p.order_batch * p.heads + head) * size : nullptr;
}

// Number of heads that share packed keys: those of a group, or one where each head has its own order.
inline int64_t heads_together(const Problem& p) { return p.key_order ? 1 : p.heads / p.groups; }

inline int64_t seen_at(const Problem& p, int64_t batch, int64_t head) {
  return batch * p.seen + (p.seen == 1 ? 0 : head);
}

// Positions of the keys of a batch and head, and their range in each tile. Behind the last key nothing counts.
struct Positions {
  std::vector<int32_t> of_keys, lowest, highest;

  Positions(const Problem& p, int64_t batch, int64_t head)
      : of_keys(padded(p.keys, TILE), std::numeric_limits<int32_t>::min()) {
    const int32_t* from = p.position + seen_at(p, batch, head) * p.keys;
    const int64_t* order = order_of(p.key_order, p, batch, head, p.keys);
    for (int64_t key = 0; key < p.keys; key++) of_keys[key] = from[row_at(order, key)];
    for (size_t tile = 0; tile < of_keys.size(); tile += TILE) {
      const auto [low, high] = std::minmax_element(of_keys.begin() + tile, of_keys.begin() + tile + TILE);
      lowest.push_back(*low), highest.push_back(*high);
    }
  }
};

// Tiles that follow each other both in a list and among the keys.
struct Run {
  size_t from;        // place in the list
  int64_t key, keys;  // the first key, and the number of keys
};

// The queries of a block, scaled, with the tiles that they read.
struct Block {
  const Problem& p;
  int64_t batch = 0, head = 0, start = 0, rows = 0;
  std::vector<float> query;          // (rows up to a multiple of ROWS, dim)
  std::vector<int32_t> tiles;        // their places among the keys
  std::vector<char> partial;         // whether a pair of that tile may not count
  std::vector<int32_t> first, last;  // bounds of each row
  std::vector<int64_t> places;       // of each row, among all queries of all heads
  const Positions* positions = nullptr;

  explicit Block(const Problem& problem) : p(problem), query(padded(p.query_block, ROWS) * p.dim) {}

  int64_t all_rows() const { return padded(rows, ROWS); }

  void set(int64_t of_batch, int64_t of_head, int64_t block, const std::vector<Positions>& all) {
    batch = of_batch, head = of_head, start = block * p.query_block;
    const int64_t each = int64_t(all.size()) / p.batch;
    positions = &all[batch * each + (each == 1 ? 0 : head)];
    rows = std::min(p.query_block, p.queries - start);
    const float scale = p.alpha == 1 ? p.scale : p.scale * (p.alpha - 1);
    const int64_t seen = seen_at(p, batch, head) * p.queries, own = (batch * p.heads + head) * p.queries;
    const int64_t* order = order_of(p.query_order, p, batch, head, p.queries);
    first.resize(rows), last.resize(rows), places.resize(rows);
    for (int64_t r = 0; r < rows; r++) {
      const int64_t from = row_at(order, start + r);
      first[r] = p.first[seen + from], last[r] = p.last[seen + from], places[r] = own + from;
      const float* row = p.query + places[r] * p.dim;
      for (int64_t d = 0; d < p.dim; d++) query[r * p.dim + d] = row[d] * scale;
    }
    std::fill(query.begin() + rows * p.dim, query.end(), 0.f);
    collect(block);
  }

  // Call use(row, place in `tiles`, products) for the rows of `left` (all_rows, dim) and the tiles [from, to).
  template <typename Use>
  void products(const float* left, const float* packed, int64_t dim, size_t from, size_t to, Use use) const {
    for (size_t t = from; t < to; t += 2) {
      const bool two = t + 1 < to;
      const float* first = packed + tiles[t] * dim * TILE;
      const float* second = two ? packed + tiles[t + 1] * dim * TILE : first;
      for (int64_t row = 0; row < all_rows(); row += ROWS) {
        Vector low[ROWS], high[ROWS];
        const float* rows_here = left + row * dim;
#pragma GCC unroll 8
        for (int r = 0; r < ROWS; r++) low[r] = high[r] = Vector{};
        for (int64_t d = 0; d < dim; d++) {
          const Vector a = load(first + d * TILE), b = load(second + d * TILE);
#pragma GCC unroll 8
          for (int r = 0; r < ROWS; r++) {
            const float q = rows_here[r * dim + d];
            low[r] += q * a;
            high[r] += q * b;
          }
        }
#pragma GCC unroll 8
        for (int r = 0; r < ROWS; r++) use(row + r, t, low[r]);
        if (two) {
#pragma GCC unroll 8
          for (int r = 0; r < ROWS; r++) use(row + r, t + 1, high[r]);
        }
      }
    }
  }

  // The same for the scores of queries and keys, MASKED where a pair does not count.
  template <typename Use>
  void scores(const float* packed, size_t from, size_t to, Use use) const {
    products(query.data(), packed, p.dim, from, to, [&](int64_t r, size_t t, Vector values) {
      if (partial[t]) {
        const Integers place = load(positions->of_keys.data() + int64_t(tiles[t]) * TILE);
        const int64_t of = std::min(r, rows - 1);
        values = (place >= first[of]) & (place <= last[of]) ? values : spread(MASKED);
      }
      use(r, t, values);
    });
  }

  std::vector<Run> runs(size_t from, size_t to) const {
    std::vector<Run> found;
    for (size_t t = from; t < to; t++) {
      const int64_t key = int64_t(tiles[t]) * TILE, here = std::min<int64_t>(TILE, p.keys - key);
      if (t > from && tiles[t] == tiles[t - 1] + 1)
        found.back().keys += here;
      else
        found.push_back({t, key, here});
    }
    return found;
  }

 private:
  void collect(int64_t block) {
    tiles.clear(), partial.clear();
    const int64_t list = (batch * p.list_batch + head * p.list_head) * parts(p.queries, p.query_block) + block;
    const int64_t count = p.indices ? p.counts[list] : parts(p.keys, p.key_block);
    const auto [earliest, start_of_all] = std::minmax_element(first.begin(), first.end());
    const auto [end_of_all, latest] = std::minmax_element(last.begin(), last.end());
    for (int64_t i = 0; i < count; i++) {
      const int64_t from = (p.indices ? p.indices[list * p.width + i] : i) * p.key_block;
      const int64_t tile_end = parts(std::min(from + p.key_block, p.keys), TILE);
      for (int64_t tile = from / TILE; tile < tile_end; tile++) {
        const int32_t low = positions->lowest[tile], high = positions->highest[tile];
        if (low > *latest || high < *earliest) continue;
        tiles.push_back(int32_t(tile));
        partial.push_back(low < *start_of_all || high > *end_of_all);
      }
    }
  }
};

}  // namespace sparse
