#define UNCONV_TARGET avx2
#define UNCONV_NAME "avx2"
#define UNCONV_BYTES 32
#define UNCONV_BLOCK 4
#define UNCONV_VECTORS 3
#include "kernels.inl"
#include "pixels.inl"
