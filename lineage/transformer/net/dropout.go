package net

// dropout drops elements of the embedding and of what the two parts of a block
// add to the residual stream (Srivastava et al. 2014); the weights of attention
// are not dropped. What is dropped depends on the seed, the number of the
// gradient, the sequence, its position and the site, so that the backward pass
// draws the same again.
type dropout struct {
	key   uint64
	share float64
	spans []span
}

// site is a place in the network where elements are dropped.
type site struct{ layer, matrix int }

func (d *dropout) rows(x []float32, width int, at site) {
	least := uint32(d.share * (1 << 32))
	scale := float32(1 / (1 - d.share))
	key := mix(d.key + uint64(at.layer+1)<<8 + uint64(at.matrix))
	for _, s := range d.spans {
		for i := range s.rows {
			state := mix(mix(key+uint64(s.sequence)) + uint64(i))
			row := x[(s.first+i)*width:][:width]
			for j := range row {
				state += 0x9e3779b97f4a7c15
				if uint32(mix(state)>>32) < least {
					row[j] = 0
				} else {
					row[j] *= scale
				}
			}
		}
	}
}

// mix is the finaliser of SplitMix64 (Steele, Lea and Flood 2014).
func mix(z uint64) uint64 {
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}
