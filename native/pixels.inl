// Body of the tables of PixelKernels, compiled once for each set of instructions; see kernels.inl.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <type_traits>

#include "pixels.hpp"

namespace unconv::UNCONV_TARGET {

constexpr int64_t kBlock = 128;

// eˣ for x ≤ 0, within 2 ulp, in steps that compilers turn into vectors; a NaN stays one.
inline float exponential(float x) {
    constexpr float lowest = -87.0f, shifter = 12582912.0f;  // 1.5 · 2²³: its last bits are whole numbers
    const float bounded = x < lowest ? lowest : x;
    const float shifted = bounded * 1.44269504088896341f + shifter;
    const float count = shifted - shifter;
    const float r = (bounded - count * 0.693359375f) + count * 2.12194440e-4f;
    float y = 1.9875691500e-4f;
    y = y * r + 1.3981999507e-3f;
    y = y * r + 8.3334519073e-3f;
    y = y * r + 4.1665795894e-2f;
    y = y * r + 1.6666665459e-1f;
    y = y * r + 5.0000001201e-1f;
    y = y * (r * r) + r + 1.0f;
    uint32_t bits, exponent;
    std::memcpy(&bits, &y, sizeof bits);
    std::memcpy(&exponent, &shifted, sizeof exponent);
    bits += exponent << 23;
    std::memcpy(&y, &bits, sizeof y);
    return x < lowest ? 0.0f : y;
}

inline double exponential(double x) { return std::exp(x); }

// Planes of a block of pixels, zeros behind the last.
template <class T>
void take(const Layout& layout, const T* scores, int64_t first, int64_t count, T* planes) {
    const T* from = scores + first * layout.pixel_stride;
    if (count < kBlock) std::fill(planes, planes + layout.classes * kBlock, T(0));
    if (layout.pixel_stride == 1) {
        for (int64_t c = 0; c < layout.classes; ++c)
            std::copy(from + c * layout.class_stride, from + c * layout.class_stride + count, planes + c * kBlock);
    } else {
        for (int64_t p = 0; p < count; ++p, from += layout.pixel_stride)
            for (int64_t c = 0; c < layout.classes; ++c) planes[c * kBlock + p] = from[c * layout.class_stride];
    }
}

template <class T>
void give(const Layout& layout, const T* planes, int64_t first, int64_t count, T* gradient) {
    T* to = gradient + first * layout.pixel_stride;
    if (layout.pixel_stride == 1) {
        for (int64_t c = 0; c < layout.classes; ++c)
            std::copy(planes + c * kBlock, planes + c * kBlock + count, to + c * layout.class_stride);
    } else {
        for (int64_t p = 0; p < count; ++p, to += layout.pixel_stride)
            for (int64_t c = 0; c < layout.classes; ++c) to[c * layout.class_stride] = planes[c * kBlock + p];
    }
}

template <class T>
void largest(const T* planes, int64_t classes, T* most) {
    std::copy(planes, planes + kBlock, most);
    for (int64_t c = 1; c < classes; ++c) {
        const T* plane = planes + c * kBlock;
#pragma omp simd
        for (int64_t p = 0; p < kBlock; ++p) most[p] = plane[p] > most[p] ? plane[p] : most[p];
    }
}

// Planes of scores become planes of softmax; logarithms[p] = −log softmax of the target.
template <class T>
void soften(int64_t classes, int64_t count, const int64_t* targets, T* planes, T* logarithms) {
    T most[kBlock], total[kBlock] = {}, own[kBlock] = {};
    largest(planes, classes, most);
    for (int64_t p = 0; p < count; ++p)
        if (targets[p] != kNotCounted) own[p] = planes[targets[p] * kBlock + p] - most[p];
    for (int64_t c = 0; c < classes; ++c) {
        T* plane = planes + c * kBlock;
#pragma omp simd
        for (int64_t p = 0; p < kBlock; ++p) {
            plane[p] = exponential(plane[p] - most[p]);
            total[p] += plane[p];
        }
    }
    for (int64_t p = 0; p < count; ++p) logarithms[p] = std::log(total[p]) - own[p];
    for (int64_t p = 0; p < kBlock; ++p) total[p] = 1 / total[p];
    for (int64_t c = 0; c < classes; ++c) {
        T* plane = planes + c * kBlock;
#pragma omp simd
        for (int64_t p = 0; p < kBlock; ++p) plane[p] *= total[p];
    }
}

template <class T>
T sum_counted(const T* plane, const T* counted) {
    T sum = 0;
#pragma omp simd reduction(+ : sum)
    for (int64_t p = 0; p < kBlock; ++p) sum += plane[p] * counted[p];
    return sum;
}

// 1 − the soft intersection over union, and its derivatives by the chance of a class where that is, and elsewhere:
// in the place of the sums of chances met there, of chances, and of pixels.
template <class T>
T lacking(int64_t classes, T* sums) {
    T *met = sums, *chances = sums + classes, *pixels = sums + 2 * classes;
    int64_t there = 0;
    for (int64_t c = 0; c < classes; ++c) there += pixels[c] > 0;
    T overlap = there ? 0 : 1;
    for (int64_t c = 0; c < classes; ++c) {
        if (!(pixels[c] > 0)) {
            met[c] = chances[c] = 0;
            continue;
        }
        const T in_both = met[c], in_either = chances[c] + pixels[c] - in_both;
        overlap += in_both / in_either / T(there);
        met[c] = -1 / in_either / T(there);
        chances[c] = in_both / (in_either * in_either) / T(there);
    }
    return 1 - overlap;
}

template <class T>
T loss(const Picture<T>& picture, T* scratch) {
    const Layout& layout = picture.layout;
    const int64_t classes = layout.classes, blocks = (layout.pixels + kBlock - 1) / kBlock;
    T* sums = scratch + blocks * classes * kBlock;
    T *met = sums, *chances = sums + classes, *pixels = sums + 2 * classes;
    std::fill(sums, sums + 3 * classes, T(0));
    const bool kept = picture.gradient != nullptr;
    double entropy = 0, weight = 0;
    for (int64_t b = 0; b < blocks; ++b) {
        const int64_t first = b * kBlock, count = std::min(kBlock, layout.pixels - first);
        const int64_t* targets = picture.targets + first;
        T* planes = kept ? scratch + b * classes * kBlock : scratch;
        T logarithms[kBlock], counted[kBlock] = {};
        take(layout, picture.scores, first, count, planes);
        soften(classes, count, targets, planes, logarithms);
        for (int64_t p = 0; p < count; ++p) {
            const int64_t target = targets[p];
            if (target == kNotCounted) continue;
            const T each = picture.weights ? picture.weights[target] : T(1);
            entropy += double(each) * double(logarithms[p]);
            weight += double(each);
            counted[p] = 1;
            pixels[target] += 1;
            met[target] += planes[target * kBlock + p];
        }
        if (picture.jaccard != 0)
            for (int64_t c = 0; c < classes; ++c) chances[c] += sum_counted(planes + c * kBlock, counted);
    }
    const T part = weight > 0 ? T(1 / weight) : T(0), jaccard = picture.jaccard;
    T value = weight > 0 ? T(entropy / weight) : T(0);
    if (jaccard != 0) value += jaccard * lacking(classes, sums);
    if (!kept) return value;

    // Through p = softmax(s), ∂/∂s = p (g − Σ p g) for ∂/∂p = g; of the cross-entropy that is p − 1 at the target.
    for (int64_t b = 0; b < blocks; ++b) {
        const int64_t first = b * kBlock, count = std::min(kBlock, layout.pixels - first);
        const int64_t* targets = picture.targets + first;
        T* planes = scratch + b * classes * kBlock;
        T scale[kBlock] = {}, counted[kBlock] = {}, own[kBlock] = {}, along[kBlock] = {};
        for (int64_t p = 0; p < count; ++p) {
            const int64_t target = targets[p];
            if (target == kNotCounted) continue;
            counted[p] = jaccard;
            scale[p] = part * (picture.weights ? picture.weights[target] : T(1));
            own[p] = -scale[p];
            if (jaccard != 0) {
                const T more = jaccard * planes[target * kBlock + p] * (met[target] - chances[target]);
                own[p] += more;
                scale[p] -= more;
            }
        }
        if (jaccard != 0) {
            for (int64_t c = 0; c < classes; ++c) {
                const T* plane = planes + c * kBlock;
                const T slope = chances[c];
#pragma omp simd
                for (int64_t p = 0; p < kBlock; ++p) along[p] += slope * plane[p];
            }
            for (int64_t p = 0; p < kBlock; ++p) scale[p] -= counted[p] * along[p];
        }
        for (int64_t c = 0; c < classes; ++c) {
            T* plane = planes + c * kBlock;
            const T slope = jaccard != 0 ? chances[c] : T(0);
#pragma omp simd
            for (int64_t p = 0; p < kBlock; ++p) plane[p] *= scale[p] + slope * counted[p];
        }
        for (int64_t p = 0; p < count; ++p)
            if (targets[p] != kNotCounted) planes[targets[p] * kBlock + p] += own[p];
        give(layout, planes, first, count, picture.gradient);
    }
    return value;
}

template <class T>
void confusion(const Layout& layout, const T* scores, const int64_t* targets, T* scratch, float* table) {
    for (int64_t first = 0; first < layout.pixels; first += kBlock) {
        const int64_t count = std::min(kBlock, layout.pixels - first);
        int32_t found[kBlock] = {};
        T most[kBlock];
        take(layout, scores, first, count, scratch);
        std::copy(scratch, scratch + kBlock, most);
        for (int64_t c = 1; c < layout.classes; ++c) {
            const T* plane = scratch + c * kBlock;
#pragma omp simd
            for (int64_t p = 0; p < kBlock; ++p) {
                const bool larger = plane[p] > most[p];
                found[p] = larger ? int32_t(c) : found[p];
                most[p] = larger ? plane[p] : most[p];
            }
        }
        for (int64_t p = 0; p < count; ++p)
            if (targets[first + p] != kNotCounted) table[targets[first + p] * layout.classes + found[p]] += 1;
    }
}

template <class T>
constexpr PixelKernels<T> pixel_table = {kBlock, loss<T>, confusion<T>};

const PixelKernels<float>& single_pixels() { return pixel_table<float>; }
const PixelKernels<double>& twofold_pixels() { return pixel_table<double>; }

}  // namespace unconv::UNCONV_TARGET
