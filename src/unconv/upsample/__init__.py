"""Learned upsampling: layers and initialisers for decoders, thin over :mod:`unconv.operators`."""
