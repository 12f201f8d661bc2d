/* SPDX-License-Identifier: Apache-2.0 */
/* Weights of cgroup v2: see cgroup-weight.h. Pure; used by host and guest. */

#include "basic/cgroup-weight.h"

/*
 * weight = 10 ^ ((l² + 125 l) / 612 - 7/34), l = log2(shares): the curve through (2, 1), (1024,
 * 100) and (262144, 10000). Done by hand, because it is all the agent would need libm for.
 */
static double log2_of(uint64_t x)
{
        double m = (double) x, result = 0, bit = 0.5;

        for (; m >= 2; m /= 2)
                result += 1;
        for (unsigned i = 0; i < 40; i++, bit /= 2) {
                m *= m;
                if (m >= 2) {
                        m /= 2;
                        result += bit;
                }
        }

        return result;
}

static double pow10_of(double x)
{
        /* 10 ^ x = 10 ^ whole * e ^ (rest * ln 10), by the series */
        double result = 1, term = 1, sum = 1, y;
        unsigned whole = (unsigned) x;

        for (unsigned i = 0; i < whole; i++)
                result *= 10;
        y = (x - whole) * 2.302585092994045684;
        for (unsigned i = 1; i < 40; i++) {
                term *= y / i;
                sum += term;
        }

        return result * sum;
}

uint64_t cgroup_weight_from_shares(uint64_t shares)
{
        double l, weight;
        uint64_t w;

        if (shares == 0)
                return 0;
        if (shares <= 2)
                return 1;
        if (shares >= 262144)
                return 10000;

        l = log2_of(shares);
        weight = pow10_of((l * l + 125 * l) / 612.0 - 7.0 / 34.0);
        w = (uint64_t) weight;
        /* Rounded up, but not because of the last bits of 100.0000000001. */
        return weight - (double) w > 1e-6 ? w + 1 : w;
}

uint64_t cgroup_io_weight(uint64_t weight)
{
        if (weight == 0)
                return 0;

        weight = MAX(weight, UINT64_C(10));
        weight = MIN(weight, UINT64_C(1000));
        return 1 + (weight - 10) * 9999 / 990;
}
