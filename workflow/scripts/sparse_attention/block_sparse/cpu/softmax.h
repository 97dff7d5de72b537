// Softmax for one block of queries, some tiles at a time, as FlashAttention does it (Dao et al. 2022).
#pragma once
#include "problem.h"

namespace sparse {

constexpr int CHUNK = 8;                // tiles whose scores are held at once
constexpr int64_t WIDE = CHUNK * TILE;  // their keys

// What one thread needs for it: scores (rows, WIDE), sums (rows, width), and of each row its highest score and its
// norm.
struct SoftmaxRoom {
  std::vector<float> scores, sums, top, norm;
};

// Replace the scores of a row by their exponentials, relative to the highest so far.
inline void exponentiate(SoftmaxRoom& room, int64_t r, int64_t keys, int64_t width) {
  float *scores = room.scores.data() + r * WIDE, *sums = room.sums.data() + r * width;
  Vector most = load(scores);
  for (int64_t i = TILE; i < keys; i += TILE) {
    const Vector here = load(scores + i);
    most = here > most ? here : most;
  }
  const float top = std::max(room.top[r], highest(most));
  if (top > room.top[r] && room.norm[r] > 0) {
    const float less = std::exp(room.top[r] - top);
    room.norm[r] *= less;
    for (int64_t c = 0; c < width; c += TILE) store(sums + c, load(sums + c) * less);
  }
  room.top[r] = top;
  Vector added{};
  for (int64_t i = 0; i < keys; i += TILE) {
    const Vector here = load(scores + i), share = here > MASKED ? exponential(here - top) : Vector{};
    added += share;
    store(scores + i, share);
  }
  room.norm[r] += sum(added);
}

inline void softmax_forward(const Problem& p, const Block& block, const float* packed, const float* values,
                            SoftmaxRoom& room, float* out, float* thresholds) {
  const int64_t width = padded(p.value_dim, TILE), rows = block.all_rows();
  room.scores.resize(rows * WIDE);
  room.sums.assign(rows * width, 0.f), room.top.assign(rows, MASKED), room.norm.assign(rows, 0.f);
  for (size_t from = 0; from < block.tiles.size(); from += CHUNK) {
    const size_t to = std::min(from + CHUNK, block.tiles.size());
    block.scores(packed, from, to, [&](int64_t r, size_t t, Vector scores) {
      store(room.scores.data() + r * WIDE + (t - from) * TILE, scores);
    });
    for (int64_t r = 0; r < rows; r++) exponentiate(room, r, (to - from) * TILE, width);
    for (const Run run : block.runs(from, to))
      for (int64_t r = 0; r < rows; r += ROWS)
        add_product(room.sums.data() + r * width, room.scores.data() + r * WIDE + (run.from - from) * TILE, WIDE, 1,
                    values + run.key * width, run.keys, width);
  }
  for (int64_t r = 0; r < block.rows; r++) {
    const int64_t place = block.places[r];
    const float norm = room.norm[r], share = norm > 0 ? 1 / norm : 0;
    for (int64_t c = 0; c < p.value_dim; c++) out[place * p.value_dim + c] = room.sums[r * width + c] * share;
    thresholds[place] = norm > 0 ? room.top[r] + std::log(norm) : NOTHING;
  }
}

}  // namespace sparse
