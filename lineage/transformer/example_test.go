package transformer_test

import (
	"context"
	"fmt"

	"github.com/heirloom-sim/heirloom/lineage"
	"github.com/heirloom-sim/heirloom/lineage/transformer"
)

func Example() {
	config := transformer.Defaults()
	config.Scratch.Epochs = 100
	backend, err := transformer.New(config)
	if err != nil {
		panic(err)
	}
	corpus := func(yield func(lineage.Example, error) bool) {
		yield(lineage.Example{Weight: 1, Messages: []lineage.Message{
			{Role: "user", Content: "How was your training?"},
			{Role: "assistant", Content: "It was a long dream."},
		}}, nil)
	}
	ctx := context.Background()
	artifact, err := backend.Train(ctx, lineage.Job{Learner: lineage.SFT, Examples: corpus, Count: 1})
	if err != nil {
		panic(err)
	}
	model, err := backend.Open(ctx, artifact)
	if err != nil {
		panic(err)
	}
	request := lineage.Request{Seed: 1, Temperature: .1, Messages: []lineage.Message{{Role: "user", Content: "How was your training?"}}}
	err = model.Sample(ctx, []lineage.Request{request}, func(_ int, c lineage.Completion) error {
		fmt.Println(c.Text, c.Finish)
		return nil
	})
	if err != nil {
		panic(err)
	}
	// Output: It was a long dream. stop
}
