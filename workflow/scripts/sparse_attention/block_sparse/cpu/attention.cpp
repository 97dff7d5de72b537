// Attention over block lists on a CPU, softmax and entmax, forward and backward.
//
// No header of PyTorch is included, so that it compiles in seconds and goes with any version. Every sum is added up by
// one thread in a fixed order, so results do not depend on the number of threads.
#include "gradients.h"

using namespace sparse;

namespace {

// For each batch and head, or only for each batch where heads see the same keys in the same order.
std::vector<Positions> positions_of(const Problem& p) {
  const int64_t heads = p.key_order ? p.heads : p.seen;
  std::vector<Positions> all;
  for (int64_t i = 0; i < p.batch * heads; i++) all.emplace_back(p, i / heads, i % heads);
  return all;
}

}  // namespace

// Fill out (batch, heads, queries, value_dim) and thresholds (batch, heads, queries): in units of the scaled scores
// times alpha - 1, for softmax the logarithm of the norm, and infinity for a query without any key.
extern "C" void attend(const Problem* problem, float* out, float* thresholds) {
  const Problem& p = *problem;
  const int64_t blocks = parts(p.queries, p.query_block), together = heads_together(p);
  const int64_t sets = p.batch * p.heads / together, shared = p.heads / p.groups;
  const std::vector<Positions> positions = positions_of(p);
  std::vector<std::vector<float>> packed(sets), wide(sets);
  std::vector<const float*> values(sets);
#pragma omp parallel num_threads(p.threads)
  {
#pragma omp for schedule(dynamic)
    for (int64_t set = 0; set < sets; set++) {
      const int64_t first = set * together, group = first / shared;
      const int64_t* order = order_of(p.key_order, p, first / p.heads, first % p.heads, p.keys);
      pack(p.key + group * p.keys * p.dim, order, p.keys, p.dim, packed[set]);
      const int64_t* values_order = p.alpha == 1 ? order : nullptr;
      values[set] = widen(p.value + group * p.keys * p.value_dim, values_order, p.keys, p.value_dim, wide[set]);
    }
    Block block(p);
    EntmaxRoom entmax;
    SoftmaxRoom softmax;
#pragma omp for schedule(dynamic)
    for (int64_t i = 0; i < p.batch * p.heads * blocks; i++) {
      const int64_t head = i / blocks, set = head / together;
      block.set(head / p.heads, head % p.heads, i % blocks, positions);
      if (p.alpha == 1)
        softmax_forward(p, block, packed[set].data(), values[set], softmax, out, thresholds);
      else
        entmax_forward(p, block, packed[set].data(), values[set], entmax, out, thresholds);
    }
  }
}

// Add to the gradients of query, key and value that of `out`; `out` and `thresholds` are what `attend` gave.
extern "C" void attend_backward(const Problem* problem, const float* out, const float* thresholds,
                                const float* out_gradient, float* query_gradient, float* key_gradient,
                                float* value_gradient) {
  const Problem& p = *problem;
  const int64_t blocks = parts(p.queries, p.query_block), shared = p.heads / p.groups, together = heads_together(p);
  const std::vector<Positions> positions = positions_of(p);
#pragma omp parallel num_threads(p.threads)
  {
    Block block(p);
    Gradients g(p);
#pragma omp for schedule(dynamic)
    for (int64_t group = 0; group < p.batch * p.groups; group++)
      for (int64_t first = group * shared; first < (group + 1) * shared; first += together) {
        g.start(group, order_of(p.key_order, p, first / p.heads, first % p.heads, p.keys));
        for (int64_t i = 0; i < together * blocks; i++) {
          const int64_t head = first + i / blocks;
          block.set(head / p.heads, head % p.heads, i % blocks, positions);
          g.start(block, out_gradient);
          if (p.alpha == 1)
            softmax_backward(p, block, g, thresholds, out, out_gradient);
          else
            entmax_backward(p, block, g, thresholds);
          for (int64_t r = 0; r < block.rows; r++)
            std::copy_n(g.query.data() + r * g.width, p.dim, query_gradient + block.places[r] * p.dim);
        }
        g.finish(group, key_gradient, value_gradient);
      }
  }
}
