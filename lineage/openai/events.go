package openai

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/csv"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/heirloom-sim/heirloom/lineage"
)

// progress tells how far a job is, by the newest of its events, and passes on what
// they warn of. That they cannot be had is no fault of the job.
func (t *training) progress(ctx context.Context, state string) {
	path, err := at(jobsPath, t.h.Job, "events")
	if err != nil || state != "running" {
		return
	}
	var newest page[event]
	if err := t.client.try(ctx, call{method: http.MethodGet, path: path, about: t.h.Job}, &newest); err != nil {
		return
	}
	for _, e := range newest.Data {
		if e.Level == "warn" || e.Level == "warning" || e.Level == "error" {
			t.once("fine-tuning job %s: %s", t.h.Job, t.words(e.Message))
		}
	}
	for _, e := range newest.Data {
		if d := e.Data; t.job.Progress != nil && d.TotalSteps > 0 && d.Step >= 0 && d.Step <= d.TotalSteps {
			t.job.Progress(d.Step, d.TotalSteps)
			return
		}
	}
}

// words are those of a provider, without the key, in one line.
func (b *Backend) words(text string) string { return line(b.client.server.clean(text)) }

// artifact names the model and gathers what is told of its training.
func (t *training) artifact(ctx context.Context) (lineage.Artifact, error) {
	h := t.h
	a := &Artifact{
		Profile: t.profile.Name, Model: h.Model, Start: t.start, Tuned: true,
		Key: h.Key, Job: h.Job, File: h.File, Trained: h.Trained, LeftOut: h.LeftOut,
	}
	if t.profile.Deploys {
		t.once("%s is trained; %s answers for it when it is deployed under that name, by hand or by a script", h.Model, t.profile.Name)
	}
	j, err := t.client.job(ctx, h.Job)
	if gone(err) {
		return a, nil // the model is there, which is what counts
	}
	if err != nil {
		return nil, err
	}
	a.Hyper = j.chosen()
	if a.Loss, err = t.loss(ctx, j); err != nil {
		return nil, err
	}
	if t.config.Checkpoints {
		a.Checkpoints, err = t.client.checkpoints(ctx, h.Job)
	}
	return a, err
}

// chosen are the hyperparameters that a job was trained with.
func (j remoteJob) chosen() map[string]string {
	h := j.Hyperparameters
	for _, m := range []*methodHyper{j.Method.Supervised, j.Method.DPO} {
		if m != nil {
			h = m.Hyperparameters
		}
	}
	out := map[string]string{}
	for name, value := range map[string]hyper{"epochs": h.Epochs, "batch_size": h.BatchSize, "learning_rate_multiplier": h.LearningRate, "beta": h.Beta} {
		if value != "" && value != "null" {
			out[name] = line(string(value))
		}
	}
	return out
}

// loss is the curve that the events of a job tell, or else its file of results.
// Where there is neither, there is none.
func (t *training) loss(ctx context.Context, j remoteJob) ([]Loss, error) {
	events, err := t.client.events(ctx, j.ID)
	if err != nil && !gone(err) {
		return nil, err
	}
	var curve []Loss
	for _, e := range events {
		if e.Data.TrainLoss != nil {
			curve = append(curve, Loss{e.Data.Step, *e.Data.TrainLoss, e.Data.ValidLoss})
		}
	}
	if len(curve) == 0 && len(j.ResultFiles) > 0 {
		data, err := t.client.fileContent(ctx, j.ResultFiles[0])
		if err != nil {
			t.once("fine-tuning job %s: its file of results cannot be had: %v", j.ID, err)
			return nil, nil
		}
		curve = results(data)
	}
	slices.SortStableFunc(curve, func(a, b Loss) int { return a.Step - b.Step })
	return slices.CompactFunc(curve, func(a, b Loss) bool { return a.Step == b.Step }), nil
}

// results reads the columns step, train_loss and valid_loss of a file of results,
// which some providers give in base64.
func results(data []byte) (curve []Loss) {
	if plain, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(data))); err == nil {
		data = plain
	}
	r := csv.NewReader(bytes.NewReader(data))
	r.FieldsPerRecord = -1
	rows, err := r.ReadAll()
	if err != nil || len(rows) == 0 {
		return nil
	}
	column := func(row []string, name string) (float64, bool) {
		i := slices.Index(rows[0], name)
		if i < 0 || i >= len(row) {
			return 0, false
		}
		v, err := strconv.ParseFloat(row[i], 64)
		return v, err == nil && v == v && v-v == 0 // a number, and finite
	}
	for _, row := range rows[1:] {
		step, ok := column(row, "step")
		train, has := column(row, "train_loss")
		if !ok || !has {
			continue
		}
		l := Loss{Step: int(step), Train: train}
		if valid, ok := column(row, "valid_loss"); ok {
			l.Valid = &valid
		}
		curve = append(curve, l)
	}
	return curve
}
