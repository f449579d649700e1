"""What kernels execute: their vhost_net under an emulator that counts instructions by address."""
