"""unconv encode, learn, denoise, inpaint: convolutional sparse coding."""
