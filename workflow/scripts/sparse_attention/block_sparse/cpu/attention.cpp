// Attention over block lists on a CPU, softmax and entmax, forward and backward.
//
// No header of PyTorch is included, so that it compiles in seconds and goes with any version. Every sum is added up by
// one thread in a fixed order, so results do not depend on the number of threads.
#include "gradients.h"

using namespace sparse;

namespace {

std::vector<Positions> positions_of(const Problem& p) {
  std::vector<Positions> all;
  for (int64_t which = 0; which < p.batch * p.seen; which++) all.emplace_back(p, which);
  return all;
}

}  // namespace

// Fill out (batch, heads, queries, value_dim) and thresholds (batch, heads, queries): in units of the scaled scores
// times alpha - 1, for softmax the logarithm of the norm, and infinity for a query without any key.
extern "C" void attend(const Problem* problem, float* out, float* thresholds) {
  const Problem& p = *problem;
  const int64_t blocks = parts(p.queries, p.query_block), groups = p.batch * p.groups, shared = p.heads / p.groups;
  const std::vector<Positions> positions = positions_of(p);
  std::vector<std::vector<float>> packed(groups), wide(groups);
  std::vector<const float*> values(groups);
#pragma omp parallel num_threads(p.threads)
  {
#pragma omp for schedule(dynamic)
    for (int64_t g = 0; g < groups; g++) {
      pack(p.key + g * p.keys * p.dim, p.keys, p.dim, packed[g]);
      values[g] = widen(p.value + g * p.keys * p.value_dim, p.keys, p.value_dim, wide[g]);
    }
    Block block(p);
    EntmaxRoom entmax;
    SoftmaxRoom softmax;
#pragma omp for schedule(dynamic)
    for (int64_t i = 0; i < p.batch * p.heads * blocks; i++) {
      const int64_t batch = i / (p.heads * blocks), head = i / blocks % p.heads, g = batch * p.groups + head / shared;
      block.set(batch, head, i % blocks, positions);
      float *to = out + block.row() * p.value_dim, *of = thresholds + block.row();
      if (p.alpha == 1)
        softmax_forward(p, block, packed[g].data(), values[g], softmax, to, of);
      else
        entmax_forward(p, block, packed[g].data(), values[g], entmax, to, of);
    }
  }
}

// Fill the gradients of query, key and value from that of `out`; `out` and `thresholds` are what `attend` gave.
extern "C" void attend_backward(const Problem* problem, const float* out, const float* thresholds,
                                const float* out_gradient, float* query_gradient, float* key_gradient,
                                float* value_gradient) {
  const Problem& p = *problem;
  const int64_t blocks = parts(p.queries, p.query_block), shared = p.heads / p.groups;
  const std::vector<Positions> positions = positions_of(p);
#pragma omp parallel num_threads(p.threads)
  {
    Block block(p);
    Gradients g(p);
#pragma omp for schedule(dynamic)
    for (int64_t group = 0; group < p.batch * p.groups; group++) {
      const int64_t batch = group / p.groups;
      g.start(group);
      for (int64_t i = 0; i < shared * blocks; i++) {
        block.set(batch, group % p.groups * shared + i / blocks, i % blocks, positions);
        const int64_t row = block.row();
        g.start(block, out_gradient + row * p.value_dim);
        if (p.alpha == 1)
          softmax_backward(p, block, g, thresholds + row, out + row * p.value_dim, out_gradient + row * p.value_dim);
        else
          entmax_backward(p, block, g, thresholds + row);
        for (int64_t r = 0; r < block.rows; r++)
          std::copy_n(g.query.data() + r * g.width, p.dim, query_gradient + (row + r) * p.dim);
      }
      for (int64_t key = 0; key < p.keys; key++) {
        std::copy_n(g.key.data() + key * g.width, p.dim, key_gradient + (group * p.keys + key) * p.dim);
        std::copy_n(g.value.data() + key * g.value_width, p.value_dim,
                    value_gradient + (group * p.keys + key) * p.value_dim);
      }
    }
  }
}
