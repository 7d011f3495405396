#define UNCONV_TARGET baseline
#define UNCONV_NAME "baseline"
#define UNCONV_BYTES 16
#define UNCONV_BLOCK 4
#define UNCONV_VECTORS 2
#include "kernels.inl"
#include "pixels.inl"
