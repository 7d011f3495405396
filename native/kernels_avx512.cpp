#define UNCONV_TARGET avx512
#define UNCONV_NAME "avx512"
#define UNCONV_BYTES 64
#define UNCONV_BLOCK 8
#define UNCONV_VECTORS 3
#include "kernels.inl"
#include "pixels.inl"
