package openai

import (
	"context"
	"errors"

	"github.com/heirloom-sim/heirloom/lineage"
)

type Sampling struct{}

func DefaultSampling() Sampling { return Sampling{} }

type model struct{}

func (model) Sample(context.Context, []lineage.Request, func(int, lineage.Completion) error) error {
	return errors.New("no sampling yet")
}

func newModel(c *Client, a *Artifact, s Sampling, p Profile, w lineage.World) lineage.Model {
	return model{}
}
