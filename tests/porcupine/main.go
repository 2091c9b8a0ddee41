// Judges exported histories (files of JSON lines, see docs/testing.md) by Porcupine.
//
// Exit status: 0 if each key has an order, 1 if some key has none, 2 if that could not be found out.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"strings"
	"time"

	"github.com/anishathalye/porcupine"
)

// What a search may take. Histories of a key have some hundred operations, and take milliseconds.
const patience = 2 * time.Minute

type operation struct {
	Client    int             `json:"client"`
	Key       string          `json:"key"`
	Call      int64           `json:"call"`
	Return    *int64          `json:"return"`
	Op        string          `json:"op"`
	Arg       int64           `json:"arg"`
	IfVersion uint64          `json:"if_version"`
	Outcome   string          `json:"outcome"`
	Result    json.RawMessage `json:"result"`
	Version   *uint64         `json:"version"`
}

// What a key holds. The version of a value is not known where no client was told; it may be any then, which lets a few
// histories pass that the project's own checker, which knows that no two changes share a version, does not let pass.
type state struct {
	present bool
	value   int64
	known   bool
	version uint64
}

// What a key may hold after an operation; nothing if it cannot be answered so.
func step(before state, op *operation) []state {
	name, condition, _ := strings.Cut(op.Op, "-if-")
	unknown, failed := op.Outcome == "unknown", op.Outcome == "condition-failed"
	if name == "read" {
		return read(before, op)
	}
	holds, fails := true, false
	switch condition {
	case "absent":
		holds, fails = !before.present, before.present
	case "present":
		holds, fails = before.present, !before.present
	case "version":
		holds = before.present && (!before.known || before.version == op.IfVersion)
		fails = !(before.present && before.known && before.version == op.IfVersion)
	}
	var after []state
	if unknown || fails && failed {
		after = append(after, before)
	}
	if !holds || failed {
		return after
	}
	changed := state{present: true}
	if op.Version != nil {
		changed.known, changed.version = true, *op.Version
	}
	switch name {
	case "write":
		changed.value = op.Arg
	case "add":
		sum := before.value + op.Arg
		if overflows := (sum > before.value) != (op.Arg > 0) && op.Arg != 0; overflows {
			return after
		}
		if !unknown && told(op.Result) && string(op.Result) != fmt.Sprint(sum) {
			return after
		}
		changed.value = sum
	case "delete":
		if !unknown && string(op.Result) != fmt.Sprint(before.present) {
			return after
		}
		changed = state{}
	default:
		panic("unknown operation " + op.Op)
	}
	return append(after, changed)
}

func read(before state, op *operation) []state {
	switch {
	case op.Outcome == "unknown":
		return []state{before}
	case !told(op.Result):
		if before.present {
			return nil
		}
		return []state{before}
	case !before.present || string(op.Result) != fmt.Sprint(before.value):
		return nil
	case op.Version == nil:
		return []state{before}
	case before.known && before.version != *op.Version:
		return nil
	}
	before.known, before.version = true, *op.Version
	return []state{before}
}

func told(result json.RawMessage) bool {
	return len(result) > 0 && string(result) != "null"
}

var model = porcupine.NondeterministicModel{
	Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
		byKey := map[string][]porcupine.Operation{}
		for _, one := range history {
			key := one.Input.(*operation).Key
			byKey[key] = append(byKey[key], one)
		}
		var all [][]porcupine.Operation
		for _, of := range byKey {
			all = append(all, of)
		}
		return all
	},
	Init: func() []interface{} { return []interface{}{state{}} },
	Step: func(before, input, _ interface{}) []interface{} {
		var all []interface{}
		for _, after := range step(before.(state), input.(*operation)) {
			all = append(all, after)
		}
		return all
	},
}

func history(path string) ([]porcupine.Operation, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var all []porcupine.Operation
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<24)
	for lines.Scan() {
		op := new(operation)
		if err := json.Unmarshal(lines.Bytes(), op); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		// What has an unknown outcome may happen at any later time.
		end := int64(math.MaxInt64)
		if op.Return != nil {
			end = *op.Return
		}
		all = append(all, porcupine.Operation{ClientId: op.Client, Input: op, Call: op.Call, Return: end})
	}
	return all, lines.Err()
}

func main() {
	status, operations := 0, 0
	for _, path := range os.Args[1:] {
		all, err := history(path)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(2)
		}
		operations += len(all)
		switch porcupine.CheckOperationsTimeout(model.ToModel(), all, patience) {
		case porcupine.Illegal:
			fmt.Printf("%s: NOT linearizable\n", path)
			status = 1
		case porcupine.Unknown:
			fmt.Printf("%s: undecided after %v\n", path, patience)
			if status == 0 {
				status = 2
			}
		}
	}
	verdict := [...]string{"linearizable", "NOT linearizable", "undecided"}[status]
	fmt.Printf("Porcupine: %d histories, %d operations: %s\n", len(os.Args)-1, operations, verdict)
	os.Exit(status)
}
