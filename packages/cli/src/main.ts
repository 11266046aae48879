process.stderr.write("error: this build has no commands yet\n");
process.exitCode = 2;
