package openai

import (
	"maps"
	"net/url"
	"slices"
	"strings"
)

// ProfileAt gives what is known of the provider whose API begins at an address: one
// of its own, or for a server on this machine, whom nobody is paid for, vllm's. Of
// others ok is false.
func ProfileAt(address string) (p Profile, ok bool) {
	if u, err := url.Parse(address); err == nil && loopback(u.Hostname()) {
		return profiles["vllm"], true
	}
	for _, name := range slices.Sorted(maps.Keys(profiles)) {
		if own := profiles[name].BaseURL; own != "" && strings.TrimRight(own, "/") == strings.TrimRight(address, "/") {
			return profiles[name], true
		}
	}
	return Profile{}, false
}

// PriceAt is what a model costs that is asked at an address.
func PriceAt(address, model string) (Price, bool) {
	p, ok := ProfileAt(address)
	if !ok {
		return Price{}, false
	}
	return p.Price(model, false)
}
