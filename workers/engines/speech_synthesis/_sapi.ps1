# Reads one request from a JSON file and writes its answer into another; see _sapi.py. For Windows PowerShell 5.1.
# Keep this file ASCII: 5.1 takes a script without a byte order mark for the machine's own code page.
param([Parameter(Mandatory = $true)][string]$Request)
$ErrorActionPreference = 'Stop'
Add-Type -AssemblyName System.Speech

$utf8 = New-Object System.Text.UTF8Encoding($false)
$asked = [IO.File]::ReadAllText($Request, $utf8) | ConvertFrom-Json
$synthesizer = New-Object System.Speech.Synthesis.SpeechSynthesizer

if ($asked.op -eq 'list_voices') {
    $default = $synthesizer.Voice.Name
    $installed = @($synthesizer.GetInstalledVoices() | Where-Object { $_.Enabled } | ForEach-Object { $_.VoiceInfo })
    $sorted = @($installed | Where-Object { $_.Name -eq $default }) + @($installed | Where-Object { $_.Name -ne $default })
    $voices = @($sorted | ForEach-Object {
        @{ name = $_.Name; language = $_.Culture.Name; gender = $_.Gender.ToString() }
    })
    $answer = @{ voices = $voices }
} else {
    $synthesizer.SelectVoice($asked.voice)
    $synthesizer.Rate = [int]$asked.rate
    $format = New-Object System.Speech.AudioFormat.SpeechAudioFormatInfo(
        22050, [System.Speech.AudioFormat.AudioBitsPerSample]::Sixteen, [System.Speech.AudioFormat.AudioChannel]::Mono)
    $synthesizer.SetOutputToWaveFile($asked.wav, $format)
    # Without -Action the events wait in a queue, in order, until they are asked for.
    Register-ObjectEvent -InputObject $synthesizer -EventName SpeakProgress -SourceIdentifier word
    Register-ObjectEvent -InputObject $synthesizer -EventName SpeakCompleted -SourceIdentifier done
    $null = $synthesizer.SpeakAsync([string]$asked.text)
    $done = Wait-Event -SourceIdentifier done
    if ($done.SourceEventArgs.Error) { throw $done.SourceEventArgs.Error }
    $synthesizer.SetOutputToNull()
    $events = @(Get-Event | Where-Object { $_.SourceIdentifier -eq 'word' } | ForEach-Object {
        @{ position = $_.SourceEventArgs.CharacterPosition; time_s = $_.SourceEventArgs.AudioPosition.TotalSeconds }
    })
    $answer = @{ events = $events }
}
[IO.File]::WriteAllText($asked.answer, (ConvertTo-Json $answer -Depth 4 -Compress), $utf8)
$synthesizer.Dispose()
