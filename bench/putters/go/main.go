// SPDX-License-Identifier: Apache-2.0
// Puts every file under a directory into a bucket with aws-sdk-go-v2, with as many goroutines as told, and prints what that
// cost. Usage: go_put ENDPOINT BUCKET DIRECTORY WORKERS
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io/fs"
	"log"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

const warmUp = 10

// As many fields as the daemon's own objects have.
func metadata(tenant, dataset, name string, size int) map[string]string {
	return map[string]string{"tenant": tenant, "dataset": dataset, "original-filename": name,
		"bytes": strconv.Itoa(size), "line-count": "1", "receiver-queued-at": "2026-01-01T00:00:00Z",
		"s3-uploaded-at": "2026-01-01T00:00:00Z", "retry-count": "0", "source": "bytefreezer-receiver",
		"data-type": "raw", "filename-source": "proxy", "sha256": strings.Repeat("0", 64)}
}

func usage() syscall.Rusage {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		log.Fatal(err)
	}
	return used
}

func cpu() float64 {
	used := usage()
	return float64(used.Utime.Nano()+used.Stime.Nano()) / 1e9
}

func putAll(client *s3.Client, bucket, prefix string, files []string, workers int) {
	var group sync.WaitGroup
	work := make(chan string)
	for i := 0; i < workers; i++ {
		group.Add(1)
		go func() {
			defer group.Done()
			for path := range work {
				put(client, bucket, prefix, path)
			}
		}()
	}
	for _, path := range files {
		work <- path
	}
	close(work)
	group.Wait()
}

func put(client *s3.Client, bucket, prefix, path string) {
	parts := strings.Split(path, string(filepath.Separator))
	tenant, dataset, name := parts[len(parts)-3], parts[len(parts)-2], parts[len(parts)-1]
	body, err := os.ReadFile(path)
	if err != nil {
		log.Fatal(err)
	}
	_, err = client.PutObject(context.Background(), &s3.PutObjectInput{Bucket: &bucket,
		Key: aws.String(prefix + tenant + "/" + dataset + "/" + name), Body: bytes.NewReader(body),
		ContentType: aws.String("application/gzip"), Metadata: metadata(tenant, dataset, name, len(body))})
	if err != nil {
		log.Fatal(err)
	}
}

func main() {
	endpoint, bucket, directory := os.Args[1], os.Args[2], os.Args[3]
	workers, err := strconv.Atoi(os.Args[4])
	if err != nil {
		log.Fatal(err)
	}
	var files []string
	err = filepath.WalkDir(directory, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.Type().IsRegular() {
			files = append(files, path)
		}
		return err
	})
	if err != nil {
		log.Fatal(err)
	}
	client := s3.New(s3.Options{Region: "us-east-1", BaseEndpoint: &endpoint, UsePathStyle: true,
		Credentials:                credentials.NewStaticCredentialsProvider("bench", "bench-secret", ""),
		RequestChecksumCalculation: aws.RequestChecksumCalculationWhenRequired, RetryMaxAttempts: 1})
	putAll(client, bucket, ".bfr-probe/", files[:min(warmUp, len(files))], workers)
	began, used := time.Now(), cpu()
	putAll(client, bucket, "", files, workers)
	seconds, used := time.Since(began).Seconds(), cpu()-used
	err = json.NewEncoder(os.Stdout).Encode(map[string]any{"puts": len(files), "seconds": seconds, "cpu_s": used,
		"peak_rss": usage().Maxrss * 1024})
	if err != nil {
		log.Fatal(err)
	}
}
