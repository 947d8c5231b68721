// Package net is a decoder-only transformer in float32, of the build of GPT-2
// (Radford et al. 2019): learned positions, layer norm before each part, GELU and
// one matrix for reading and writing tokens. It has parameters, a forward and a
// backward pass, AdamW, and decoding with a cache of keys and values.
//
//  1. New draws parameters; a Shape says how many, and by what names.
//  2. A Trainer cuts a batch of sequences into chunks, runs each forward and
//     backward on one thread, adds the gradients in a fixed order and takes a step.
//  3. A Decoder reads and writes many sequences at once.
//
// The same seed and batches give the same bits with any number of threads, and
// with AVX2 and AVX-512; see Arithmetic for the rest.
package net

import "github.com/heirloom-sim/heirloom/lineage/transformer/net/kernel"

// Arithmetic names the way in which numbers are rounded here. Machines that agree
// in it compute the same bits: "fma" with AVX2 or AVX-512, else "go-" and the
// architecture.
func Arithmetic() string { return kernel.Arithmetic() }
