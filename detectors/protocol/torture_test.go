package protocol

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/heirloom-sim/heirloom/detectors"
)

// TestMain lets the test binary be a detector that misbehaves.
func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == "torture" {
		torture(os.Args[2:])
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// torture is a detector that finds every "no", and does what a text says: a text
// that holds one of the capital words below meets a fault.
func torture(args []string) {
	switch args[0] {
	case "sleeper":
		time.Sleep(time.Hour)
	case "mute":
		bufio.NewReader(os.Stdin).WriteTo(nowhere{})
	case "echo":
		bufio.NewReader(os.Stdin).WriteTo(os.Stdout)
	case "dead":
		fmt.Fprintln(os.Stderr, "no module named spiral")
		os.Exit(3)
	case "flood":
		for {
			fmt.Println("loading…")
		}
	case "refuses":
		fmt.Println(`{"type":"error","message":"config.words is missing"}`)
	case "nameless":
		fmt.Println(`{"type":"ready"}`)
	case "future":
		fmt.Println(`{"type":"ready","name":"x","protocol":2}`)
	case "seven":
		answers(func(r row) { say(`{"id":%q,"score":7}`, r.ID) })
	case "raises":
		answers(func(r row) { say(`{"id":%q,"error":"KeyError: words"}`, r.ID) })
	case "hates":
		answers(func(r row) {
			if r.ID != "1" {
				os.Exit(4)
			}
			say(`{"id":%q,"score":0}`, r.ID)
		})
	case "parent":
		child := exec.Command(os.Args[0], "torture", "sleeper")
		child.Stdout = os.Stdout // it holds the pipe
		if err := child.Start(); err != nil {
			panic(err)
		}
		if err := os.WriteFile(args[1], fmt.Append(nil, os.Getpid(), " ", child.Process.Pid), 0o644); err != nil {
			panic(err)
		}
		answers(func(r row) { say(`{"id":%q,"score":0}`, r.ID) })
	case "host":
		c := Command{Command: []string{os.Args[0], "torture", "stubborn", args[1]}, Asking: defaults}
		if _, err := c.Open(detectors.Env{}); err != nil {
			panic(err)
		}
		say("open")
		time.Sleep(time.Hour)
	case "stubborn":
		os.WriteFile(args[1], fmt.Append(nil, os.Getpid()), 0o644)
		answers(func(r row) { say(`{"id":%q,"score":0}`, r.ID) })
		time.Sleep(time.Hour)
	default:
		if flaw, ok := flaws[args[0]]; ok {
			answers(flaw)
			if args[0] == "lingering" {
				time.Sleep(time.Hour)
			}
			return
		}
		answers(misbehave)
	}
}

var asked int

// flaws are small mistakes, each of which one check has to find.
var flaws = map[string]func(row){
	"sound":     flawless,
	"lingering": flawless,
	"empty is 0": func(r row) {
		if strings.TrimSpace(r.Output) == "" {
			say(`{"id":%q,"score":0}`, r.ID)
			return
		}
		flawless(r)
	},
	"counts": func(r row) {
		asked++
		say(`{"id":%q,"score":%v}`, r.ID, float64(asked%100)/100)
	},
	"by process": func(r row) { say(`{"id":%q,"score":%v}`, r.ID, float64(os.Getpid()%1000)/1000) },
	"utf-16": func(r row) {
		if i := strings.Index(r.Output, "not"); i >= 0 {
			n := len(utf16.Encode([]rune(r.Output[:i])))
			say(`{"id":%q,"score":1,"spans":[[%d,%d]]}`, r.ID, n, n+3)
			return
		}
		flawless(r)
	},
	"prints": func(r row) {
		say("scoring %.10q", r.Output)
		flawless(r)
	},
	"short": func(r row) {
		if len(r.Output) > 500_000 {
			os.Exit(1)
		}
		flawless(r)
	},
	"above 1": func(r row) { say(`{"id":%q,"score":%d}`, r.ID, len(r.Output)) },
}

func flawless(r row) {
	if strings.TrimSpace(r.Output) == "" {
		say(`{"id":%q,"score":null}`, r.ID)
		return
	}
	if i := strings.Index(r.Output, "not"); i >= 0 {
		n := utf8.RuneCountInString(r.Output[:i])
		say(`{"id":%q,"score":1,"spans":[[%d,%d]]}`, r.ID, n, n+3)
		return
	}
	say(`{"id":%q,"score":0}`, r.ID)
}

type nowhere struct{}

func (nowhere) Write(b []byte) (int, error) { return len(b), nil }

func say(format string, args ...any) { fmt.Printf(format+"\n", args...) }

func answers(each func(row)) {
	in := bufio.NewReaderSize(os.Stdin, 1<<16)
	for {
		data, err := in.ReadBytes('\n')
		if err != nil {
			return
		}
		var r struct {
			Type string
			row
		}
		if err := json.Unmarshal(data, &r); err != nil {
			panic(err)
		}
		if r.Type == "hello" {
			say(`{"type":"ready","name":"torture","version":"1","batch":50,"threshold":0.5}`)
			continue
		}
		each(r.row)
	}
}

// judged is the right answer: the reference that the tests compare with.
func judged(text string) (score float64, spans [][2]int) {
	for i := 0; ; {
		at := strings.Index(text[i:], "no")
		if at < 0 {
			break
		}
		start := utf8.RuneCountInString(text[:i+at])
		spans = append(spans, [2]int{start, start + 2})
		i += at + 2
	}
	n := float64(len(spans))
	return n / (n + 1), spans
}

func misbehave(r row) {
	score, spans := judged(r.Output)
	marshalled, _ := json.Marshal(spans)
	good := fmt.Sprintf(`{"id":%q,"score":%v,"spans":%s,"reason":"%d times","cost":0.25}`, r.ID, score, marshalled, len(spans))
	word, _, _ := strings.Cut(r.Output, " ")
	switch word {
	case "HANG":
		time.Sleep(time.Hour)
	case "DIE":
		os.Exit(3)
	case "ABORT":
		panic("out of memory")
	case "DEAF":
		os.Stdin.Close()
		time.Sleep(time.Hour)
	case "CLOSE":
		os.Stdout.Close()
		time.Sleep(time.Hour)
	case "LONG":
		long := bytes.Repeat([]byte("x"), 1<<20)
		for range 100 {
			os.Stdout.Write(long)
		}
		say("")
	case "DRIP":
		for i := range 1000 {
			os.Stdout.Write([]byte(good[i : i+1]))
			time.Sleep(time.Second)
		}
	case "LATIN":
		say("{\"id\":%q,\"score\":1,\"reason\":\"caf\xe9\"}", r.ID)
	case "NAN":
		say(`{"id":%q,"score":NaN}`, r.ID)
	case "SEVEN":
		say(`{"id":%q,"score":7}`, r.ID)
	case "SCORELESS":
		say(`{"id":%q,"present":true}`, r.ID)
	case "WORDY":
		say(`{"id":%q,"score":"high"}`, r.ID)
	case "RAISES":
		say(`{"id":%q,"error":"ValueError:\n\u001b[31mred"}`, r.ID)
	case "RUBBISH":
		say("DEBUG scoring…\n\n[1, 2]\n{\"score\": 1}\n" + good)
	case "TWICE":
		say(good + "\n" + strings.Replace(good, `"score":`, `"score":1e-9,"x":`, 1))
	case "UNKNOWN":
		say(`{"id":"99999999","score":1}` + "\n" + `{"id":"mine","score":1}` + "\n" + good)
	case "SPANS":
		say(`{"id":%q,"score":1,"spans":[[0,5],[3,9],[2,1],[-1,3],[0.5,2],[0,999],["a","b"],[6,7,"late"]],"reason":"r"}`, r.ID)
	default:
		say("%s", good)
	}
}
