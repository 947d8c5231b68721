package kernel

//go:generate sh -c "cd gen && go run . -out ../assembly_amd64.s -stubs ../assembly_amd64.go -pkg kernel"
