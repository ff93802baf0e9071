// Tells somebody about a new message: aloud for screen readers in the open room, and by the desktop or a sound where
// they asked for it and do not see it anyway.

import type { MessageEntry, Notify, Preferences, Room } from '../api';
import { t } from '../i18n';
import { roomPath } from '../ui/route';
import { router } from '../ui/router.svelte';
import { said } from '../ui/said.svelte';
import { session } from './session.svelte';

interface News {
  entry: MessageEntry;
  room: Room;
  mentioned: boolean;
  watched: boolean;
  open: boolean;
}

export function wanted(preferences: Preferences, room: number): Notify {
  return preferences.rooms[String(room)] ?? preferences.notify;
}

export function notifyOf({ entry, room, mentioned, watched, open }: News): void {
  const message = entry.message!;
  const name = entry.author.display_name;
  if (message.alert) said.atOnce(t('announce.alert', { name, room: room.name, text: message.text }));
  else if (open) said.politely(t('announce.message', { name, text: message.title ?? message.text }));

  const notify = wanted(session.me.preferences, room.id);
  const asked = notify.messages === 'all' || (notify.messages === 'mentions' && (mentioned || message.alert));
  if (!asked || watched) return;
  if (notify.sound) chime();
  if (notify.desktop && 'Notification' in window && Notification.permission === 'granted') {
    const note = new Notification(t('announce.title', { name, room: room.name }), {
      body: (message.title ?? message.text).slice(0, 200),
      tag: `room-${room.id}`,
    });
    note.onclick = () => {
      window.focus();
      router.go(roomPath(room.id, entry.seq));
      note.close();
    };
  }
}

let audio: AudioContext | null = null;

/** Two soft notes, made here so that no file has to be fetched. */
function chime(): void {
  audio ??= new AudioContext();
  if (audio.state !== 'running') return;
  [660, 880].forEach((pitch, i) => {
    const at = audio!.currentTime + i * 0.12;
    const tone = audio!.createOscillator();
    const volume = audio!.createGain();
    tone.frequency.value = pitch;
    volume.gain.setValueAtTime(0, at);
    volume.gain.linearRampToValueAtTime(0.06, at + 0.02);
    volume.gain.exponentialRampToValueAtTime(0.0001, at + 0.3);
    tone.connect(volume).connect(audio!.destination);
    tone.start(at);
    tone.stop(at + 0.32);
  });
}
