package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/heirloom-sim/heirloom/lineage"
)

func examplesFolder(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("../../examples/trainers")
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestExampleScriptsAreWellFormed(t *testing.T) {
	dir := examplesFolder(t)
	python := pythonOrSkip(t)
	scripts, _ := filepath.Glob(filepath.Join(dir, "*", "*.py"))
	shells, _ := filepath.Glob(filepath.Join(dir, "*", "*.sh"))
	shells = append(shells, filepath.Join(dir, "check.sh"))
	if len(scripts) < 8 || len(shells) < 3 {
		t.Fatalf("there are %d Python and %d shell scripts", len(scripts), len(shells))
	}
	compile := exec.Command(python, append([]string{"-m", "py_compile"}, scripts...)...)
	compile.Env = append(os.Environ(), "PYTHONPYCACHEPREFIX="+t.TempDir())
	if out, err := compile.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
	for _, s := range shells {
		if out, err := exec.Command("sh", "-n", s).CombinedOutput(); err != nil {
			t.Errorf("%s: %v: %s", s, err, out)
		}
	}
}

// slurm is a cluster of one folder: its commands are scripts on the search path.
func slurm(t *testing.T) (cluster string, c Config) {
	t.Helper()
	cluster = t.TempDir()
	for name, script := range map[string]string{
		"sbatch": `echo x >>"$CLUSTER/submitted"
name=; while :; do case $1 in --job-name=*) name=${1#*=}; shift;; --*) shift;; *) break;; esac; done
id=$(wc -l <"$CLUSTER/submitted" | tr -d ' ')
echo "$name" >"$CLUSTER/$id.name"; echo RUNNING >"$CLUSTER/$id.state"
setsid sh -c 'while [ -e "$CLUSTER/hold" ]; do sleep 0.05; done; "$@" >/dev/null 2>"$CLUSTER/err" && s=COMPLETED || s=FAILED; [ -e "$CLUSTER/'$id'.cancelled" ] || echo $s >"$CLUSTER/'$id'.state"' sh sh "$@" >/dev/null 2>&1 </dev/null &
[ ! -e "$CLUSTER/lose" ] || { rm "$CLUSTER/lose"; exit 1; }
echo "$id;main"`,
		"sacct": `id=; name=; while [ $# -gt 0 ]; do case $1 in -j) id=$2; shift;; --name=*) name=${1#*=};; esac; shift; done
if [ -n "$name" ]; then for f in "$CLUSTER"/*.name; do [ "$(cat "$f")" = "$name" ] && basename "$f" .name; done; exit 0; fi
cat "$CLUSTER/$id.state"`,
		"squeue":  `exit 0`,
		"scancel": `echo "$1" >>"$CLUSTER/scancelled"; : >"$CLUSTER/$1.cancelled"; echo "CANCELLED by 1000" >"$CLUSTER/$1.state"`,
	} {
		if err := os.WriteFile(filepath.Join(cluster, name), []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	job := filepath.Join(cluster, "job.sh")
	os.WriteFile(job, []byte("#!/bin/sh\nexec \"$TRAINER\" trainer learn\n"), 0o755)
	t.Setenv("PATH", cluster+":"+os.Getenv("PATH"))
	t.Setenv("CLUSTER", cluster)
	t.Setenv("TRAINER", os.Args[0])
	t.Setenv("HEIRLOOM_SLURM_PAUSE", "0.05")
	c = config("learn")
	c.Train.Command = []string{"sh", filepath.Join(examplesFolder(t), "slurm/submit.sh"), job}
	c.Train.Cancel = []string{"scancel", "{{.RemoteID}}"}
	c.Train.EnvPass = []string{"CLUSTER", "TRAINER", "HEIRLOOM_SLURM_PAUSE"}
	c.Train.Grace = 5
	return cluster, c
}

func lines(path string) int {
	data, _ := os.ReadFile(path)
	return strings.Count(string(data), "\n")
}

func TestSLURM(t *testing.T) {
	cluster, c := slurm(t)
	folder := t.TempDir()
	b, _ := enter(t, c, folder)
	a, err := b.Train(t.Context(), job(folder))
	if err != nil {
		t.Fatal(err)
	}
	if a.(*Artifact).Kind != LoRA || lines(filepath.Join(cluster, "submitted")) != 1 {
		t.Errorf("%+v", a)
	}
}

func TestSLURMSubmissionWhoseAnswerIsLost(t *testing.T) {
	cluster, c := slurm(t)
	os.WriteFile(filepath.Join(cluster, "lose"), nil, 0o644)
	folder := t.TempDir()
	b, _ := enter(t, c, folder)
	if _, err := b.Train(t.Context(), job(folder)); err != nil {
		t.Fatal(err)
	}
	if n := lines(filepath.Join(cluster, "submitted")); n != 1 {
		t.Errorf("submitted %d times", n)
	}
}

func TestSLURMJobIsCancelledWithTheTraining(t *testing.T) {
	cluster, c := slurm(t)
	os.WriteFile(filepath.Join(cluster, "hold"), nil, 0o644)
	defer os.Remove(filepath.Join(cluster, "hold"))
	folder := t.TempDir()
	b, _ := enter(t, c, folder)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { _, err := b.Train(ctx, job(folder)); ended <- err }()
	waitFor(t, filepath.Join(folder, "trainings/node-1.state/*/"+remoteID))
	cancel()
	<-ended
	if n := lines(filepath.Join(cluster, "scancelled")); n != 1 {
		t.Errorf("cancelled %d times", n)
	}
}

// The waiter is killed and the job lives: it is waited for again, and cancelled by
// its number where the waiter is gone.
func TestSLURMJobOutlivesItsWaiter(t *testing.T) {
	cluster, c := slurm(t)
	hold := filepath.Join(cluster, "hold")
	os.WriteFile(hold, nil, 0o644)
	folder := t.TempDir()
	b, _ := enter(t, c, folder)
	ended := make(chan error)
	go func() { _, err := b.Train(t.Context(), job(folder)); ended <- err }()
	waitFor(t, filepath.Join(folder, "trainings/node-1.state/*/"+remoteID))
	text, _ := job(folder).Ticket.Load()
	h, _ := parseHandle(text)
	killGroup(h.PID)
	if err := <-ended; err == nil {
		t.Fatal("a training whose trainer was killed ended well")
	}
	if e, err := b.Look(t.Context(), text); err != nil || !strings.Contains(e.ID, "(1)") {
		t.Errorf("%+v, %v", e, err)
	}
	os.Remove(hold)
	if _, err := b.Train(t.Context(), job(folder)); err != nil {
		t.Fatal(err)
	}
	if n := lines(filepath.Join(cluster, "submitted")); n != 1 {
		t.Errorf("submitted %d times", n)
	}
}

// provider is Together and Fireworks as far as the scripts ask them.
type provider struct {
	mu            sync.Mutex
	uploads, jobs int
	polls         int
	job           map[string]any
	lose          bool   // the answer to the first creation
	end           string // state that the job ends in
	key           string
}

func (p *provider) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if r.Header.Get("Authorization") != "Bearer "+p.key {
		fault(w, 401, "auth", "no key like "+r.Header.Get("Authorization"))
		return
	}
	body, _ := io.ReadAll(r.Body)
	create := func(id string) {
		if p.job != nil {
			fault(w, 409, "conflict", "there is one of that name")
			return
		}
		p.jobs++
		json.Unmarshal(body, &p.job)
		p.job["id"] = id
		if p.lose {
			p.lose = false
			panic(http.ErrAbortHandler) // it is done, and nobody hears of it
		}
		reply(w, 200, p.job)
	}
	switch path := r.Method + " " + r.URL.Path; {
	case path == "POST /files/upload", strings.HasSuffix(path, ":upload"):
		p.uploads++
		if !strings.Contains(string(body), `"I remember."`) {
			fault(w, 400, "bad", "no rows")
			return
		}
		reply(w, 200, map[string]any{"id": "file-1"})
	case path == "POST /fine-tunes":
		create("ft-1")
	case path == "GET /fine-tunes":
		var all []any
		if p.job != nil {
			all = append(all, p.job)
		}
		reply(w, 200, map[string]any{"data": all})
	case path == "GET /fine-tunes/ft-1":
		p.polls++
		status := "running"
		if p.polls > 2 {
			status = p.end
		}
		reply(w, 200, map[string]any{"id": "ft-1", "status": status, "created_at": "2026-11-01T00:00:00Z", "model_output_name": "me/qwen-" + fmt.Sprint(p.job["suffix"]), "token_count": 1000,
			"events": []any{map[string]any{"message": "the data failed moderation"}}})
	case path == "POST /accounts/me/datasets":
		reply(w, 200, map[string]any{})
	case strings.HasPrefix(path, "GET /accounts/me/datasets/"):
		reply(w, 200, map[string]any{"state": map[bool]string{true: "READY", false: "UPLOADING"}[p.uploads > 0]})
	case path == "POST /accounts/me/supervisedFineTuningJobs":
		create(r.URL.Query().Get("supervisedFineTuningJobId"))
	case strings.HasPrefix(path, "GET /accounts/me/supervisedFineTuningJobs/hl-"):
		p.polls++
		state := "JOB_STATE_RUNNING"
		if p.polls > 2 {
			state = "JOB_STATE_COMPLETED"
		}
		reply(w, 200, map[string]any{"state": state, "outputModel": p.job["outputModel"], "jobProgress": map[string]any{"percent": 50}})
	default:
		fault(w, 404, "none", path)
	}
}

func hosted(t *testing.T, p *provider, script string) (lineage.Artifact, error) {
	t.Helper()
	python := pythonOrSkip(t)
	p.key = "canary-key-0123456789"
	server := httptest.NewServer(p)
	server.Config.ErrorLog = nil
	t.Cleanup(server.Close)
	for _, name := range []string{"TOGETHER", "FIREWORKS"} {
		t.Setenv(name+"_BASE_URL", server.URL)
		t.Setenv(name+"_API_KEY", p.key)
	}
	t.Setenv("FIREWORKS_ACCOUNT_ID", "me")
	t.Setenv("HEIRLOOM_POLL", "0.002")
	t.Setenv("PYTHONDONTWRITEBYTECODE", "1")
	c := config("")
	c.Train.Command = []string{python, "{{.Dir}}/" + script, "--price", "4"}
	c.Train.EnvPass = []string{"TOGETHER_*", "FIREWORKS_*", "HEIRLOOM_POLL", "PYTHONDONTWRITEBYTECODE"}
	c.Train.MaxCost = 1
	folder := t.TempDir()
	b, log := enter(t, c, folder)
	b.world.Dir = filepath.Join(examplesFolder(t), "hosted")
	a, err := b.Train(t.Context(), job(folder))
	filepath.WalkDir(folder, func(path string, d os.DirEntry, _ error) error {
		if data, err := os.ReadFile(path); err == nil && strings.Contains(string(data), p.key) {
			t.Errorf("the key is in %s", path)
		}
		return nil
	})
	if strings.Contains(log.String(), p.key) || err != nil && strings.Contains(err.Error(), p.key) {
		t.Error("the key is told")
	}
	return a, err
}

func TestHostedScripts(t *testing.T) {
	for script, want := range map[string]string{"together.py": "me/qwen-hl-", "fireworks.py": "accounts/me/models/hl-"} {
		for _, lose := range []bool{false, true} {
			p := &provider{lose: lose, end: "completed"}
			a, err := hosted(t, p, script)
			if err != nil {
				t.Errorf("%s: %v", script, err)
				continue
			}
			r := a.(*Artifact)
			if r.Kind != Remote || !strings.HasPrefix(r.Model, want) {
				t.Errorf("%s: %+v", script, r)
			}
			if p.uploads != 1 || p.jobs != 1 {
				t.Errorf("%s, answer lost %v: %d uploads, %d jobs", script, lose, p.uploads, p.jobs)
			}
			if script == "together.py" && (r.Tokens != 1000 || r.Cost != 0.004) {
				t.Errorf("%d tokens for $%v", r.Tokens, r.Cost)
			}
		}
	}
}

func TestHostedTrainingThatIsBlocked(t *testing.T) {
	_, err := hosted(t, &provider{end: "error"}, "together.py")
	var blocked *lineage.Blocked
	if !errors.As(err, &blocked) || blocked.Provider != "together" {
		t.Errorf("%v", err)
	}
}
